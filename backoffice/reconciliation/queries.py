"""Reads of reconciliations: the snapshot to read from, the owners that a text names, the kept reports."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, DateTime, Engine, column, func, select, table
from sqlalchemy.orm import Session

from ..base.identifiers import is_id
from ..database import snapshots
from ..figures import Figure
from ..web import record_links as subjects
from .models import Reconciliation

LONGEST = "15min"
"""The longest that a report may keep its snapshot, which has to last for a download over a slow connection."""

MANY = 50_000
"""From this many rows on, a figure's totals take so long that the page is sent without them and loads them later."""


_ACTIVITY = table(
    "pg_stat_activity",
    column("pid"),
    column("datname"),
    column("xact_start", DateTime(timezone=True)),
)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A separate connection in one snapshot, so that everything read over it is consistent."""
    with snapshots.snapshot(engine) as connection:
        connection.execute(select(func.set_config("statement_timeout", LONGEST, True)))
        connection.execute(select(func.set_config("datestyle", "ISO, YMD", True)))
        yield connection


def settled_until(connection: Connection) -> datetime:
    """The time before which every correction is committed: now, or when this database's oldest transaction began.

    A correction has the time at which its transaction began. One that commits while a report is made is not in the
    report's snapshot, so the next report must begin before that time.
    """
    is_another = _ACTIVITY.c.pid != func.pg_backend_pid()
    here = _ACTIVITY.c.datname == func.current_database()
    oldest = select(func.min(_ACTIVITY.c.xact_start)).where(here, is_another).scalar_subquery()
    found: datetime = connection.execute(
        select(func.least(func.clock_timestamp(), oldest))
    ).scalar_one()
    return found


def owners_of(session: Session, figure: Figure, text: str) -> list[int]:
    """The ids of the owners that a text names: by id (`#12`), or by a name, which several may share; may be empty."""
    number = text.removeprefix("#")
    if text.startswith("#") and is_id(number):
        key = figure.owner_key
        return list(session.scalars(select(key).where(key == int(number))))
    named = subjects.owners_named(figure.name, text)
    return [] if named is None else list(session.scalars(named))


def is_large(session: Session, figure: Figure) -> bool:
    """Whether the figure has so many rows, by PostgreSQL's estimate, that comparing them takes long."""
    guess = session.scalar(
        select(func.coalesce(func.pg_stat_get_live_tuples(func.to_regclass(figure.table.name)), 0))
    )
    return (guess or 0) > MANY


def latest(session: Session) -> list[Reconciliation]:
    """The newest finished report of every figure, by the figure's name."""
    newest = (
        select(func.max(Reconciliation.id))
        .where(Reconciliation.finished_at.is_not(None))
        .group_by(Reconciliation.figure)
    )
    found = select(Reconciliation).where(Reconciliation.id.in_(newest))
    return list(session.scalars(found.order_by(Reconciliation.figure)))


def kept(session: Session, report_id: int) -> Reconciliation | None:
    """The finished report with that id, if it is still kept."""
    report = session.get(Reconciliation, report_id)
    return report if report is not None and report.finished_at is not None else None
