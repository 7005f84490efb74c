"""Reads of periods: which months are closed, and the checklist for closing one."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...app.closing import Checked
from ...app.domain import declared
from ...base.periods import Month
from ..models import JournalEntry, Period
from ..rules import CLOSED, OPEN

SHOWN = 36
"""Months that the screen lists at most, the newest first."""


class MonthStatus(NamedTuple):
    """A month, and its period if it was ever closed."""

    month: Month
    period: Period | None

    @property
    def is_closed(self) -> bool:
        """Whether it is closed now."""
        return self.period is not None and self.period.status == CLOSED


def period_of(session: Session, month: Month) -> Period | None:
    """The period of a month that was ever closed."""
    return session.scalars(select(Period).where(Period.month == month.first)).one_or_none()


def last_closed(session: Session) -> Month | None:
    """The last closed month; None where every month is open."""
    first = session.scalar(select(func.max(Period.month)).where(Period.status == CLOSED))
    return None if first is None else Month.of(first)


def is_any_reopened(session: Session) -> bool:
    """Whether a month that was closed is open again."""
    return bool(session.scalar(select(select(Period.id).where(Period.status == OPEN).exists())))


def next_to_close(session: Session) -> Month:
    """The month after the last closed one; before the first closing the first month of the journal that is over."""
    closed, entered = _closed_and_entered(session)
    if closed is not None:
        return closed + 1
    before = Month.current() - 1
    return before if entered is None else min(before, entered)


def over_and_open(session: Session) -> Sequence[Month]:
    """The months that are over and not closed, from the one after the last closed, or the journal's first."""
    closed, entered = _closed_and_entered(session)
    first = entered if closed is None else closed + 1
    return [] if first is None else list(first.through(Month.current() - 1))


def _closed_and_entered(session: Session) -> tuple[Month | None, Month | None]:
    """The last closed month, and the first month with a journal entry."""
    closed = select(func.max(Period.month)).where(Period.status == CLOSED).scalar_subquery()
    entered = select(func.min(JournalEntry.entry_date)).scalar_subquery()
    days = session.execute(select(closed, entered)).one()
    last, first = (None if day is None else Month.of(day) for day in days)
    return last, first


def month_statuses(session: Session) -> Sequence[MonthStatus]:
    """The months from the first of the journal, or the first that was closed, until now; the newest first."""
    known = {Month.of(p.month): p for p in session.scalars(select(Period))}
    month, first = Month.current(), min(known, default=next_to_close(session))
    first = max(min(first, next_to_close(session)), month - (SHOWN - 1))
    return [MonthStatus(each, known.get(each)) for each in reversed(list(first.through(month)))]


def checklist(session: Session, month: Month) -> list[Checked]:
    """The result of every domain's closing check up to the end of the month."""
    return [Checked(check, check.count(session, month)) for check in declared().closing_checks]
