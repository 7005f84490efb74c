"""The ledger's checks before a month is closed."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...app.closing import ClosingCheck
from ...base import N_
from ...base.periods import Month
from ..figures import months_in_order
from ..health.examining import balance_sheet
from ..models import JournalEntry
from ..posting.queries import Scope, open_postings
from ..posting.tie_out import ledger_tied
from ..rules import DRAFT
from .actions import retained_earnings, zeroing_lines


def _drafts(session: Session, month: Month) -> int:
    entry = JournalEntry
    drafts = select(func.count()).where(entry.status == DRAFT, entry.entry_date <= month.last)
    return session.scalar(drafts) or 0


def _unequal(session: Session, _month: Month) -> int:
    """1 where assets differ from liabilities and equity."""
    return int(not balance_sheet.compare(session.connection()).holds)


def _untied(session: Session, _month: Month) -> int:
    """How many control accounts differ from their sub-ledgers now."""
    return ledger_tied.compare(session.connection()).differing


def _disordered(session: Session, _month: Month) -> int:
    """1 where closed months have gaps, or the book's last closed day is another."""
    return int(not months_in_order.compare(session.connection()).holds)


def _untransferable(session: Session, month: Month) -> int:
    """How many accounts have earnings at a year's end while no account is used for retained earnings."""
    return 0 if retained_earnings(session) else len(zeroing_lines(session, month))


def _unposted(session: Session, month: Month) -> int:
    """How many documents are not posted as they should be."""
    return sum(one.count for one in open_postings(session, Scope(until=month.last)))


CLOSING = (
    ClosingCheck(
        "postings", N_("Documents that are not posted"), _unposted, lambda _month: ("ledger.tie_out", {})
    ),
    ClosingCheck(
        "drafts", N_("Drafts in the journal"), _drafts,
        lambda month: ("entries.index", {"status": DRAFT, "until": month.last.isoformat()}),
    ),
    ClosingCheck(
        "equation", N_("Assets that differ from liabilities and equity"), _unequal,
        lambda month: ("ledger.trial_balance", {"as_of": month.last.isoformat()}),
    ),
    ClosingCheck(
        "tied", N_("Control accounts that do not tie out"), _untied, lambda _month: ("ledger.tie_out", {})
    ),
    ClosingCheck(
        "earnings", N_("Accounts with earnings, and none of equity is used for retained earnings"), _untransferable,
        lambda _month: ("accounts.index", {}),
    ),
    ClosingCheck(
        "order", N_("Closed months out of order"), _disordered, lambda _month: ("ledger.periods", {})
    ),
)  # fmt: skip
