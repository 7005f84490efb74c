"""Files that are carried out every month: which are due on a day, and the upload of the month that they make."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from ..models import Import
from .outcomes import begin


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def due_in(month: date, day: int) -> date:
    """The day in a month on which it is due: `day`, or the last one of a month that has fewer."""
    return month.replace(day=min(day, monthrange(month.year, month.month)[1]))


def begin_due(session: Session, day: str) -> Sequence[Import]:
    """An upload of the month of each repeated file that is due by that day and was not begun in its month."""
    today = date.fromisoformat(day)
    month, child = month_of(today), aliased(Import)
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
    month = max(month_of(today), repeated.repeat_from or month_of(today))
    if last is not None and last >= month:
        month = month_of(date.fromordinal(last.toordinal() + 31))
    return due_in(month, repeated.repeat_day or 1)
