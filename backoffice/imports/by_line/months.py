"""Monthly repeated uploads: which are due on a day, and the upload that each of them creates per month."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from ..models import Import
from .outcomes import create_outcome

FIRST_DAYS = 7
"""First days of a month on which the previous month is still processed, if no scheduler ran on its last days."""


def month_of(day: date) -> date:
    """The first day of the day's month."""
    return day.replace(day=1)


def due_in(month: date, day: int) -> date:
    """The due date in a month: `day`, or the last day of a shorter month."""
    return month.replace(day=min(day, monthrange(month.year, month.month)[1]))


def months_due(today: date) -> Sequence[date]:
    """The months to process: this one; in its first days the previous one too, first."""
    month = month_of(today)
    return (month_of(month - timedelta(days=1)), month)[today.day > FIRST_DAYS :]


def create_due(session: Session, day: str) -> Sequence[Import]:
    """Create the uploads of repeated files that are due by that day and do not exist yet (`months_due`)."""
    today = date.fromisoformat(day)
    return [made for month in months_due(today) for made in _create_of_month(session, month, today)]


def _create_of_month(session: Session, month: date, today: date) -> Sequence[Import]:
    child = aliased(Import)
    was_begun = exists().where(child.repeats_id == Import.id, child.period == month)
    repeated = select(Import).where(
        Import.state == "repeating", Import.repeat_from <= month, ~was_begun
    )
    found = session.scalars(repeated.order_by(Import.id).with_for_update()).all()
    due = [one for one in found if due_in(month, one.repeat_day or 1) <= today]
    return [_upload_of_month(session, one, month) for one in due]


def _upload_of_month(session: Session, repeated: Import, month: date) -> Import:
    made = Import(
        kind=repeated.kind, name=repeated.name, files=repeated.files, digest=repeated.digest,
        state="applying", layout=repeated.layout, repeats_id=repeated.id, period=month,
    )  # fmt: skip
    session.add(made)
    session.flush()
    create_outcome(session, made)
    return made


def months_of(session: Session, repeated: Import) -> Sequence[Import]:
    """The uploads that it has created, the newest month first."""
    repeats = select(Import).where(Import.repeats_id == repeated.id)
    return session.scalars(repeats.order_by(Import.period.desc())).all()


def next_due(session: Session, repeated: Import, today: date) -> date:
    """The next due date; one that has passed is processed at the next tick of the schedule."""
    begun = select(func.max(Import.period)).where(Import.repeats_id == repeated.id)
    last: date | None = session.scalar(begun)
    month = months_due(today)[0]
    month = max(month, repeated.repeat_from or month)
    if last is not None and last >= month:
        month = month_of(date.fromordinal(last.toordinal() + 31))
    return due_in(month, repeated.repeat_day or 1)
