"""Reading reconciliations: a snapshot to read from, which record is meant, what is kept."""

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
"""How long a report may keep its snapshot: as long as a user's slow connection takes to read it."""

MANY = 50_000
"""Rows of a figure whose totals take so long that the page comes first, and they follow."""


_ACTIVITY = table(
    "pg_stat_activity",
    column("pid"),
    column("datname"),
    column("xact_start", DateTime(timezone=True)),
)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection of its own on one snapshot; whatever is read over it belongs together."""
    with snapshots.snapshot(engine) as connection:
        connection.execute(select(func.set_config("statement_timeout", LONGEST, True)))
        connection.execute(select(func.set_config("datestyle", "ISO, YMD", True)))
        yield connection


def settled_until(connection: Connection) -> datetime:
    """The moment before which every correction is committed: now, or when the oldest open transaction of ours began.

    A correction bears the moment at which its transaction began; one that commits while a report is made is in no
    snapshot of it, so that the next report must begin before it.
    """
    is_another = _ACTIVITY.c.pid != func.pg_backend_pid()
    here = _ACTIVITY.c.datname == func.current_database()
    oldest = select(func.min(_ACTIVITY.c.xact_start)).where(here, is_another).scalar_subquery()
    found: datetime = connection.execute(
        select(func.least(func.clock_timestamp(), oldest))
    ).scalar_one()
    return found


def owners_of(session: Session, figure: Figure, text: str) -> list[int]:
    """The owners that a user means by a number (`#12`), or by a name that several may have; maybe none."""
    number = text.removeprefix("#")
    if text.startswith("#") and is_id(number):
        key = figure.owner_key
        return list(session.scalars(select(key).where(key == int(number))))
    named = subjects.owners_named(figure.name, text)
    return [] if named is None else list(session.scalars(named))


def is_large(session: Session, figure: Figure) -> bool:
    """Whether the figure has so many rows that comparing them takes long; a guess of PostgreSQL's."""
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
    """A finished report that is still kept."""
    report = session.get(Reconciliation, report_id)
    return report if report is not None and report.finished_at is not None else None
