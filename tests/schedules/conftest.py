"""A kind of run that does nothing, schedules of it, and the business in another time zone."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from backoffice.app.domain import Domain
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.base import periods
from backoffice.runs.kinds import RunKind
from backoffice.runs.models import DONE, Run
from backoffice.schedules.catalog import Schedule
from backoffice.schedules.rules import Daily

NOTHING = RunKind("test.nothing", "Nothing", "schedules.run", lambda *_: (), lambda _: None)
SCRATCH = Domain("nothing", kinds=(NOTHING,))


@pytest.fixture
def domains() -> Sequence[Domain]:
    """The product's domains, and one with a kind of run that does nothing."""
    return (*DOMAINS, SCRATCH)


@pytest.fixture
def nothing() -> str:
    """The name of a kind of run that does nothing."""
    return NOTHING.name


@pytest.fixture
def nightly(nothing: str) -> Callable[..., Schedule]:
    """`nightly("one")`: a schedule of that name, every night at 02:00, with twelve hours of grace."""

    def nightly(name: str, **changes: Any) -> Schedule:
        values: dict[str, Any] = {
            "name": name, "title": name, "about": "", "kind": nothing,
            "rule": Daily(time(2)), "grace": timedelta(hours=12),
        }  # fmt: skip
        return Schedule(**(values | changes))

    return nightly


@pytest.fixture
def business_in(means: Callable[..., None]) -> Callable[[str], None]:
    """`business_in("Europe/Berlin")`: the business time zone, for this test."""
    return lambda zone: means(timezone=zone)


def at(text: str) -> datetime:
    """The moment of a local time in the business time zone."""
    return datetime.fromisoformat(text).replace(tzinfo=periods.timezone()).astimezone(UTC)


def everything_ends() -> None:
    """Mark all runs as done, as if workers had performed them."""
    live = Run.finished_at.is_(None)
    db.session.execute(update(Run).where(live).values(status=DONE, finished_at=func.now()))
    db.session.commit()


def started(schedule: str | None = None) -> list[datetime]:
    """The due times that have a run, in order."""
    query = select(Run.due_at).order_by(Run.due_at)
    found = db.session.scalars(query if schedule is None else query.filter_by(schedule=schedule))
    moments = [moment for moment in found if moment is not None]
    db.session.rollback()
    return moments
