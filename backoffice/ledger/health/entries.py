"""Entries that cannot be right: named, and kept out of every heal, for nobody but a person mends them."""

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
"""Why an account is left alone."""


class WrongEntry(NamedTuple):
    """An entry that cannot be right, with what its lines come to; `why` is the first reason of `WHY` that holds."""

    id: int
    number: str
    entry_date: date
    debits: Decimal
    credits: Decimal
    why: str


def _wrong(of_these: Select[int] | None = None) -> Select[int, str, date, Decimal, Decimal, str]:
    """One pass over the lines, of all entries or of some; a posted entry without lines is not balanced either.

    One sum of both sides is enough to tell, and NaN is no 0; what each side comes to is asked of what is wrong.
    """
    line, entry = JournalLine, JournalEntry
    never, always = (cast(literal(day, Text), Date) for day in ("-infinity", "infinity"))
    of = (
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
    unbalanced = is_posted & of.c.net.is_distinct_from(0)
    misdated = is_posted & ~((of.c.first == entry.entry_date) & (of.c.last == entry.entry_date))
    unposted = ~is_posted & (of.c.counting > 0)
    why = case((unbalanced, UNBALANCED), (misdated, MISDATED), else_=UNPOSTED)
    sides = (of_entry(line.debit), of_entry(line.credit))
    return (
        select(entry.id, entry.number, entry.entry_date, *sides, why)
        .outerjoin(of, of.c.entry_id == entry.id)
        .where(or_(unbalanced, misdated, unposted))
        .where(true() if of_these is None else entry.id.in_(of_these))
    )


def wrong_entries(connection: Connection) -> Sequence[WrongEntry]:
    """Every entry that cannot be right, by its age."""
    return sorted(WrongEntry(*row) for row in connection.execute(_wrong()))


def quarantined(connection: Connection, accounts: Collection[int]) -> set[int]:
    """Of these accounts, those to which a wrong entry is posted."""
    theirs = JournalLine.account_id == any_(literal(sorted(accounts), ARRAY(BigInteger)))
    wrong = _wrong(select(JournalLine.entry_id).where(theirs)).subquery()
    lines = select(JournalLine.account_id).where(
        theirs, JournalLine.entry_id.in_(select(wrong.c.id))
    )
    return set(connection.scalars(lines.distinct()))
