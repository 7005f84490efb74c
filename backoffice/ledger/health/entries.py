"""Invalid entries: reported, and their accounts kept out of every heal, because only a person can correct them."""

from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Date,
    Select,
    Text,
    any_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
)

from ...base import N_
from ..models import JournalEntry, JournalLine
from ..queries import of_entry
from ..rules import POSTED, net_of

UNBALANCED, MISDATED, UNPOSTED = "unbalanced", "misdated", "unposted"

WHY = {
    UNBALANCED: N_("Its debits are not its credits"),
    MISDATED: N_("Its lines count on another day, or not at all"),
    UNPOSTED: N_("It is a draft and its lines count"),
}

QUARANTINED = N_(
    "Posted to it is an entry that is not balanced, or counts on another day than its own, so nothing is corrected "
    "here. Health, Balance sheet names the entry; mend it by another entry or restore it"
)
"""Why an account is not healed."""


class WrongEntry(NamedTuple):
    """An invalid entry with the totals of its lines; `why` is the first reason of `WHY` that applies."""

    id: int
    number: str
    entry_date: date
    debits: Decimal
    credits: Decimal
    why: str


def _wrong(of_these: Select[int] | None = None) -> Select[int, str, date, Decimal, Decimal, str]:
    """Select the invalid entries, of all or of some, in one pass; a posted entry without lines is not balanced either.

    The net sum of both sides is enough to find them (NaN differs from 0); the sum of each side is read for those alone.
    """
    line, entry = JournalLine, JournalEntry
    never, always = (cast(literal(day, Text), Date) for day in ("-infinity", "infinity"))
    sums = (
        select(
            line.entry_id, func.sum(net_of(line.debit, line.credit)).label("net"),
            func.min(func.coalesce(line.posted_on, never)).label("first"),
            func.max(func.coalesce(line.posted_on, always)).label("last"),
            func.count(line.posted_on).label("counting"),
        )
        .where(true() if of_these is None else line.entry_id.in_(of_these))
        .group_by(line.entry_id)
        .subquery()
    )  # fmt: skip
    is_posted = entry.status == POSTED
    unbalanced = is_posted & sums.c.net.is_distinct_from(0)
    misdated = is_posted & ~((sums.c.first == entry.entry_date) & (sums.c.last == entry.entry_date))
    unposted = ~is_posted & (sums.c.counting > 0)
    why = case((unbalanced, UNBALANCED), (misdated, MISDATED), else_=UNPOSTED)
    sides = (of_entry(line.debit), of_entry(line.credit))
    return (
        select(entry.id, entry.number, entry.entry_date, *sides, why)
        .outerjoin(sums, sums.c.entry_id == entry.id)
        .where(or_(unbalanced, misdated, unposted))
        .where(true() if of_these is None else entry.id.in_(of_these))
    )


def wrong_entries(connection: Connection) -> Sequence[WrongEntry]:
    """Every invalid entry, the oldest first."""
    return sorted(WrongEntry(*row) for row in connection.execute(_wrong()))


def quarantined(connection: Connection, accounts: Collection[int]) -> set[int]:
    """Those of these accounts to which an invalid entry is posted."""
    of_accounts = JournalLine.account_id == any_(literal(sorted(accounts), ARRAY(BigInteger)))
    wrong = _wrong(select(JournalLine.entry_id).where(of_accounts)).subquery()
    lines = select(JournalLine.account_id).where(
        of_accounts, JournalLine.entry_id.in_(select(wrong.c.id))
    )
    return set(connection.scalars(lines.distinct()))
