"""Closing months and reopening them. Nothing here commits.

Whoever closes or reopens waits for everybody who writes something dated, and they for us: so what was in order when it
was looked at is in order when the month is closed.
"""

from sqlalchemy import func
from sqlalchemy.orm import Session

from ...base.actor import approver
from ...base.periods import Month
from ...book.locks import hold_alone
from ..models import Period
from ..refusals import AlreadyClosed, NoReason, NotClosed, NotInOrder, NotLast, NotNext, NotOver
from ..rules import CLOSED, OPEN
from . import yearend
from .queries import checklist, last_closed, period_of


def close(session: Session, month: Month, by: str) -> Period:
    """Close a month: nothing dated in it changes any more. The last of a year moves its earnings.

    `by` is the actor, as the audit trail names them. Raises AlreadyClosed, NotNext, NotOver, NotInOrder.
    """
    hold_alone(session)
    refuse_close(session, month)
    found = [checked for checked in checklist(session, month) if checked.forbids]
    if found:
        raise NotInOrder(month=month, checks=", ".join(c.check.title for c in found))
    period = period_of(session, month) or Period(month=month.first)
    entry = yearend.move_earnings(session, month)
    period.status, period.closed_at, period.closed_by = CLOSED, func.now(), by
    period.approved_by = approver.get()
    period.closing_entry_id = None if entry is None else entry.id
    session.add(period)
    session.flush()
    session.refresh(period)
    return period


def reopen(session: Session, month: Month, by: str, reason: str) -> Period:
    """Let what is dated in a closed month change again; its closing entry is reversed.

    Raises NoReason, NotClosed, NotLast.
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
    yearend.take_back(session, entry_id)
    session.refresh(period)
    return period


def refuse_close(session: Session, month: Month) -> None:
    """Raises AlreadyClosed, NotNext, NotOver: why a month cannot be closed now, whatever is in order."""
    last = last_closed(session)
    if last is not None and month <= last:
        raise AlreadyClosed(month=month)
    if month >= Month.current():
        raise NotOver(month=month)
    if last is not None and month != last + 1:
        raise NotNext(next=last + 1)
