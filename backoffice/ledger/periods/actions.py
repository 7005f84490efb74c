"""Closing and reopening months, and the year-end transfer of earnings. Nothing here commits.

Closing and reopening hold a lock that excludes every writer of dated rows, so that what the checklist found in order
is still in order when the month is closed.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...base.actor import approver
from ...base.periods import Month
from ...book.locks import hold_alone
from ...book.queries import locked_until
from ..actions import enter, reverse
from ..entries import LineEntry, Totals
from ..models import Account, JournalEntry, Period
from ..queries import held_on
from ..refusals import (
    AlreadyClosed,
    NoReason,
    NotClosed,
    NotInOrder,
    NotLast,
    NotNext,
    NotOver,
    YearEndLocked,
)
from ..rules import CLOSED, EQUITY, EXPENSE, OPEN, RETAINED_EARNINGS, REVENUE
from .queries import checklist, last_closed, period_of


def close(session: Session, month: Month, by: str) -> Period:
    """Close a month: nothing dated in it changes any more. The last of a year transfers its earnings.

    `by` is the actor, as the audit trail names them. Raises NotInOrder, and what `refuse_close` does.
    """
    hold_alone(session)
    refuse_close(session, month)
    found = [checked for checked in checklist(session, month) if checked.forbids]
    if found:
        raise NotInOrder(month=month, checks=", ".join(c.check.title for c in found))
    period = period_of(session, month) or Period(month=month.first)
    entry = move_earnings(session, month)
    period.status, period.closed_at, period.closed_by = CLOSED, func.now(), by
    period.approved_by = approver.get()
    period.closing_entry_id = None if entry is None else entry.id
    session.add(period)
    session.flush()
    session.refresh(period)
    return period


def reopen(session: Session, month: Month, by: str, reason: str) -> Period:
    """Let what is dated in a closed month change again; its closing entry is reversed.

    Raises NoReason, NotClosed, NotLast, YearEndLocked.
    """
    hold_alone(session)
    period, last = period_of(session, month), last_closed(session)
    if not reason.strip():
        raise NoReason()
    if period is None or period.status != CLOSED:
        raise NotClosed(month=month)
    if last != month:
        raise NotLast(last=last)
    entry_id = period.closing_entry_id
    period.status, period.closing_entry_id, period.reason = OPEN, None, reason.strip()
    period.reopened_at, period.reopened_by = func.now(), by
    period.approved_by = approver.get()
    session.flush()
    reverse_closing_entry(session, entry_id)
    session.refresh(period)
    return period


def refuse_close(session: Session, month: Month) -> None:
    """Raises AlreadyClosed, NotNext, NotOver, YearEndLocked where a month cannot be closed, whatever its checklist."""
    last = last_closed(session)
    if last is not None and month <= last:
        raise AlreadyClosed(month=month)
    if month >= Month.current():
        raise NotOver(month=month)
    if last is not None and month != last + 1:
        raise NotNext(next=last + 1)
    end = year_end(session, month)
    if end is not None and zeroing_lines(session, month):
        refuse_locked(session, end.last)


def refuse_locked(session: Session, day: date) -> None:
    """Raises YearEndLocked where a year's closing entry cannot be posted or reversed on its day."""
    until = locked_until(session)
    if until is not None and day <= until:
        raise YearEndLocked(day=day, until=until)


LAST_MONTH = 12
"""The month with which a fiscal year ends."""


def year_end(session: Session, month: Month) -> Month | None:
    """The December of which closing a month transfers the earnings: itself, or at the first closing the last one."""
    end = month if month.month == LAST_MONTH else Month(max(month.year - 1, 1), LAST_MONTH)
    return end if end == month or last_closed(session) is None else None


def move_earnings(session: Session, month: Month) -> JournalEntry | None:
    """Post the entry that zeroes revenue and expenses at a year's end; None for other months or without earnings."""
    end, zeroing = year_end(session, month), zeroing_lines(session, month)
    if end is None or not zeroing:
        return None
    account = retained_earnings(session)
    assert account is not None, "the checklist asks for one"
    totals = Totals.of(zeroing)
    lines = [*zeroing, LineEntry.of_net(account, -totals.difference)]
    made = enter(
        session,
        end.last,
        [line for line in lines if line.is_one_side],
        memo=f"Closing of {end.year}",
        may_be_inactive=True,
    )
    return made.row


def reverse_closing_entry(session: Session, entry_id: int | None) -> None:
    """Reverse the closing entry of a reopened month on its own day, unless a user has reversed it."""
    entry = None if entry_id is None else session.get_one(JournalEntry, entry_id)
    if entry is not None and entry.reversal is None:
        refuse_locked(session, entry.entry_date)
        values = {"entry_date": entry.entry_date, "memo": entry.memo}
        reverse(session, entry.id, values, may_be_inactive=True)


def zeroing_lines(session: Session, month: Month) -> Sequence[LineEntry]:
    """The lines that zero revenue and expenses at the end of a year; none for other months."""
    end = year_end(session, month)
    if end is None:
        return ()
    held = held_on(end.last)
    rows = (
        select(held.c.account_id, held.c.debit, held.c.credit)
        .join(Account, Account.id == held.c.account_id)
        .where(Account.type.in_((REVENUE, EXPENSE)), held.c.debit != held.c.credit)
        .order_by(Account.code)
    )
    return [LineEntry(*row).turned for row in session.execute(rows)]


def retained_earnings(session: Session) -> int | None:
    """The first active account of equity, by code, that is used for retained earnings; None without one."""
    a = Account
    rows = select(a.id).where(a.role == RETAINED_EARNINGS, a.type == EQUITY, a.is_active)
    return session.scalar(rows.order_by(a.code).limit(1))
