"""The summary of one day: what drifted, what was corrected and why, which runs failed, what was verified."""

from datetime import date, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, and_, func, select

from .. import figures
from ..base import periods
from ..drift import figure_status
from ..drift.models import DriftFinding, FigureCheck
from ..figures.models import Correction
from ..runs.models import DONE_WITH_FAILURES, FAILED, Run

log = structlog.get_logger("backoffice.summary")

FRESH = timedelta(hours=24)
"""A figure that was verified longer ago does not count as covered."""


def summary(connection: Connection, day: date) -> dict[str, Any]:
    """The summary of a business day, as JSON; amounts in the deployment's currency, as strings.

    `drift` are the rows that were first found wrong on that day, and the sum of their differences, net and gross.
    `books` is the state of the books now, as every page shows it (`drift/figure_status.py`): whether they are
    right, what is still wrong, what waits. `coverage` is how many figures there are, and how many were verified
    in the last 24 hours, now.
    """
    reported: dict[str, Any] = {
        "day": day.isoformat(),
        "drift": _drift(connection, day),
        "corrections": _corrections(connection, day),
        "runs": _runs(connection, day),
        "books": _books(connection),
        "coverage": _coverage(connection),
    }
    log.info("daily summary", **reported)
    return reported


def _on(moment: Any, day: date) -> ColumnElement[bool]:
    return and_(moment >= periods.start_of(day), moment < periods.end_of(day))


def _drift(connection: Connection, day: date) -> dict[str, Any]:
    net, gross = (
        func.coalesce(func.sum(amount), 0) for amount in (DriftFinding.amount, DriftFinding.gross)
    )
    seen = select(func.count().label("rows"), net.label("net"), gross.label("gross"))
    row = connection.execute(
        seen.where(_on(DriftFinding.first_seen_at, day), figure_status.IS_COUNTED)
    ).one()
    return {"rows": row.rows, "net": str(row.net), "gross": str(row.gross)}


def _books(connection: Connection) -> dict[str, Any]:
    found = figure_status.read(connection)
    counts = ("wrong", "unverified", "uncompared", "failed", "waiting", "unguarded")
    return {"right": found.state == "right", **{name: getattr(found, name) for name in counts}}


def _corrections(connection: Connection, day: date) -> dict[str, int]:
    made = (
        select(Correction.cause, func.count().label("number"))
        .where(_on(Correction.at, day))
        .group_by(Correction.cause)
        .order_by(Correction.cause)
    )
    return {row.cause: row.number for row in connection.execute(made)}


def _runs(connection: Connection, day: date) -> dict[str, int]:
    ended = select(
        func.count(),
        func.count().filter(Run.status == FAILED),
        func.count().filter(Run.status == DONE_WITH_FAILURES),
    ).where(_on(Run.finished_at, day))
    finished, failed, with_failures = connection.execute(ended).one()
    return {"finished": finished, "failed": failed, "with_failures": with_failures}


def _coverage(connection: Connection) -> dict[str, int]:
    names = [figure.name for figure in figures.registry.figures]
    fresh = select(func.count()).where(
        FigureCheck.figure.in_(names), FigureCheck.verified_at > func.now() - FRESH
    )
    return {"figures": len(names), "verified": connection.scalar(fresh) or 0}
