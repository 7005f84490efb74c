"""The end of a fiscal year: what revenue and expenses hold is moved to retained earnings. Nothing here commits."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...base.periods import Month
from .. import actions
from ..entries import LineEntry, Totals
from ..models import Account, JournalEntry
from ..queries import held_on
from ..rules import EQUITY, EXPENSE, RETAINED_EARNINGS, REVENUE

LAST_MONTH = 12
"""The month with which a fiscal year ends."""


def move_earnings(session: Session, month: Month) -> JournalEntry | None:
    """Post the entry that zeroes revenue and expenses at the end of a year; None of other months or no earnings."""
    zeroing = zeroing_lines(session, month)
    if not zeroing:
        return None
    account = retained_earnings(session)
    assert account is not None, "the checklist asks for one"
    totals = Totals.of(zeroing)
    lines = [*zeroing, LineEntry.of_net(account, -totals.difference)]
    made = actions.enter(
        session,
        month.last,
        [line for line in lines if line.is_one_side],
        memo=f"Closing of {month.year}",
        may_be_inactive=True,
    )
    return made.row


def take_back(session: Session, entry_id: int | None) -> None:
    """Reverse the closing entry of a month that is open again, on the same day."""
    if entry_id is not None:
        entry = session.get_one(JournalEntry, entry_id)
        reported = {"entry_date": entry.entry_date, "memo": entry.memo}
        actions.reverse(session, entry_id, reported, may_be_inactive=True)


def zeroing_lines(session: Session, month: Month) -> Sequence[LineEntry]:
    """What takes back all that revenue and expenses hold at the end of a year; none of other months."""
    if month.month != LAST_MONTH:
        return ()
    held = held_on(month.last)
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
