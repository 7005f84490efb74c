"""The nightly reconciliation: a file per figure, kept as evidence of its values on that day."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from ..base import N_
from ..figures import registry
from ..lists.csv_files import FLAVOURS
from ..runs.kinds import RunKind
from ..runs.work import Asked, Chunk, Work
from . import actions, queries
from .actions import REPORTS
from .files import About, foot_of, head_of, page_of, plain
from .keeping import Packer
from .queries import snapshot
from .report import Report, Totals, new_totals

FLAVOUR = FLAVOURS["csv"]

FIRST_PERIOD = timedelta(days=1)
"""How far back the first report of a figure counts corrections; each later one starts where the last ended."""


def plan(connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    """A chunk per figure."""
    for figure in registry.figures:
        rows = connection.scalar(select(func.count()).select_from(figure.table)) or 0
        yield Chunk({"figure": figure.name}, size=rows)


def work(work: Work) -> None:
    """Reconcile one figure from one snapshot, counting page by page; the last transaction stores the file."""
    figure = registry.get(work.payload["figure"])
    with work.engine.connect() as connection:
        until = queries.settled_until(connection)
    language = plain(figure)
    with snapshot(work.engine) as connection:
        since = _since(connection, figure.name, until)
        report = Report(connection, registry, figure, since=since, until=until)
        about = About("all", work.asked.requested_by, since, until)
        packer, totals = Packer(), new_totals(figure)
        with work.transaction() as step:
            report_id = actions.begin(step.connection, work.asked.id, figure.name, since, until)
        packer.put(head_of(report, FLAVOUR, language))
        for page in report.pages():
            with work.transaction() as step:
                seen, right = _seen(totals)
                for block in page_of(report, page, FLAVOUR, language, totals):
                    packer.put(block)
                now_seen, now_right = _seen(totals)
                step.tally.checked += now_seen - seen
                step.tally.unchanged += now_right - right
        with work.transaction(is_last=True) as step:
            packer.put(foot_of(figure, about, FLAVOUR, language, totals))
            packer.end()
            actions.finish(
                step.connection,
                report_id,
                totals,
                content=bytes(packer.content),
                sha256=packer.sha256,
            )


def _seen(totals: Mapping[str, Totals]) -> tuple[int, int]:
    """The number of rows compared and the number of right ones, both estimated from the columns' totals."""
    found = totals.values()
    return max(t.rows for t in found), min(t.rows - t.drifted for t in found)


def _since(connection: Connection, figure: str, until: datetime) -> datetime:
    """The end of the period of the figure's last report; without one, `FIRST_PERIOD` before `until`."""
    ended = select(func.max(REPORTS.c.until)).where(
        REPORTS.c.figure == figure, REPORTS.c.finished_at.is_not(None)
    )
    return connection.scalar(ended) or until - FIRST_PERIOD


def result(connection: Connection, asked: Asked) -> dict[str, Any]:
    """The number of finished reports, of their lines, and of the wrong lines."""
    mine = select(
        func.count().label("reports"),
        func.coalesce(func.sum(REPORTS.c.rows), 0).label("lines"),
        func.coalesce(func.sum(REPORTS.c.drifted), 0).label("drifted"),
    ).where(REPORTS.c.run_id == asked.id, REPORTS.c.finished_at.is_not(None))
    return {name: int(value) for name, value in connection.execute(mine).mappings().one().items()}


NIGHTLY = RunKind(
    "reconciliation.nightly", N_("Nightly reconciliation"), "schedules.run",
    plan, work, finish=result,
)  # fmt: skip

KINDS = (NIGHTLY,)
