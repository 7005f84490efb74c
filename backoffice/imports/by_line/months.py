"""Files that are carried out every month: which are due on a day, and the upload of the month that they make."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from ..models import Import
from .outcomes import begin

FIRST_DAYS = 7
"""Days of a month on which the month before is still begun, where no scheduler was there on its last ones."""


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def due_in(month: date, day: int) -> date:
    """The day in a month on which it is due: `day`, or the last one of a month that has fewer."""
    return month.replace(day=min(day, monthrange(month.year, month.month)[1]))


def months_due(today: date) -> Sequence[date]:
    """The months of which is begun what is due and was not: this one; in its first days the one before it, first."""
    month = month_of(today)
    return (month_of(month - timedelta(days=1)), month)[today.day > FIRST_DAYS :]


def begin_due(session: Session, day: str) -> Sequence[Import]:
    """An upload of each month of a repeated file that is due by that day and was not begun (`months_due`)."""
    today = date.fromisoformat(day)
    return [made for month in months_due(today) for made in _begin(session, month, today)]


def _begin(session: Session, month: date, today: date) -> Sequence[Import]:
    child = aliased(Import)
    was_begun = exists().where(child.repeats_id == Import.id, child.period == month)
    repeated = select(Import).where(
        Import.state == "repeating", Import.repeat_from <= month, ~was_begun
    )
    found = session.scalars(repeated.order_by(Import.id).with_for_update()).all()
    due = [one for one in found if due_in(month, one.repeat_day or 1) <= today]
    return [_of_month(session, one, month) for one in due]


def _of_month(session: Session, repeated: Import, month: date) -> Import:
    made = Import(
        kind=repeated.kind, name=repeated.name, files=repeated.files, digest=repeated.digest,
        state="applying", layout=repeated.layout, repeats_id=repeated.id, period=month,
    )  # fmt: skip
    session.add(made)
    session.flush()
    begin(session, made)
    return made


def months_of(session: Session, repeated: Import) -> Sequence[Import]:
    """The uploads that it has made, the newest month first."""
    mine = select(Import).where(Import.repeats_id == repeated.id)
    return session.scalars(mine.order_by(Import.period.desc())).all()


def next_due(session: Session, repeated: Import, today: date) -> date:
    """When it is carried out next; a day that has passed: as soon as the schedule looks."""
    begun = select(func.max(Import.period)).where(Import.repeats_id == repeated.id)
    last: date | None = session.scalar(begun)
    month = months_due(today)[0]
    month = max(month, repeated.repeat_from or month)
    if last is not None and last >= month:
        month = month_of(date.fromordinal(last.toordinal() + 31))
    return due_in(month, repeated.repeat_day or 1)
