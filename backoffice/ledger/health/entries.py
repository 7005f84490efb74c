"""Entries that cannot be right: named, and kept out of every heal, for nobody but a person mends them."""

from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Numeric,
    Select,
    any_,
    case,
    func,
    literal,
    or_,
    select,
    true,
)

from ...base import N_
from ..models import JournalEntry, JournalLine
from ..rules import POSTED

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
    """One pass over the lines, of all entries or of some; a posted entry without lines is not balanced either."""
    line, entry = JournalLine, JournalEntry
    of = (
        select(
            line.entry_id, func.sum(line.debit).label("debits"), func.sum(line.credit).label("credits"),
            func.min(line.posted_on).label("first"), func.max(line.posted_on).label("last"),
            func.count(line.posted_on).label("counting"), func.count().label("lines"),
        )
        .where(true() if of_these is None else line.entry_id.in_(of_these))
        .group_by(line.entry_id)
        .subquery()
    )  # fmt: skip
    debits, credited = (func.coalesce(side, 0) for side in (of.c.debits, of.c.credits))
    nan = literal(Decimal("NaN"), Numeric)  # equal to itself, but no amount
    is_posted = entry.status == POSTED
    unbalanced = is_posted & or_(debits != credited, debits == 0, debits == nan)
    on_its_day = (of.c.first == entry.entry_date) & (of.c.last == entry.entry_date)
    misdated = is_posted & ~(on_its_day & (of.c.counting == of.c.lines))
    unposted = ~is_posted & (of.c.counting > 0)
    why = case((unbalanced, UNBALANCED), (misdated, MISDATED), else_=UNPOSTED)
    return (
        select(entry.id, entry.number, entry.entry_date, debits, credited, why)
        .outerjoin(of, of.c.entry_id == entry.id)
        .where(or_(unbalanced, misdated, unposted))
        .where(true() if of_these is None else entry.id.in_(of_these))
        .order_by(entry.id)
    )


def wrong_entries(connection: Connection) -> Sequence[WrongEntry]:
    """Every entry that cannot be right, by its age."""
    return [WrongEntry(*row) for row in connection.execute(_wrong())]


def quarantined(connection: Connection, accounts: Collection[int]) -> set[int]:
    """Of these accounts, those to which a wrong entry is posted."""
    theirs = JournalLine.account_id == any_(literal(sorted(accounts), ARRAY(BigInteger)))
    wrong = _wrong(select(JournalLine.entry_id).where(theirs)).order_by(None).subquery()
    lines = select(JournalLine.account_id).where(
        theirs, JournalLine.entry_id.in_(select(wrong.c.id))
    )
    return set(connection.scalars(lines.distinct()))
