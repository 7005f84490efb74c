"""Generates the next number of a series, like PAY-2026-00002 after PAY-2026-00001."""

from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Session

DOUBLINGS = 31
"""Numbers go up to 2 to the power of this."""
LOOKED_BACK = 10
"""The newest rows, one of which the next number nearly always follows."""
SCANNED = 10_000
"""Numbers per statement in the linear search, which is used where every power of two is taken."""

_DIGITS = "^([0-9]{5}|[1-9][0-9]{5,8})$"
"""Matches a number of up to nine digits as `_text` writes it."""

_LOCK = select(func.pg_advisory_xact_lock(func.hashtext(bindparam("head", type_=Text))))


def next_number(session: Session, column: InstrumentedAttribute[str], head: str) -> str:
    """`head` with a free number of five digits or more, following one that `column` has.

    It looks up single texts, so that neither the collation nor a million other texts matter. Transactions that ask for
    the same head wait for each other until they end; so ask before taking locks that others need for their number.
    """
    session.execute(_LOCK, {"head": head})
    number: int | None = session.scalar(_after_last(column), {"head": head})
    if number is None:
        number = session.scalar(_search(column), {"head": head})
    if number is None:
        number = _scanned(session, column, head)
    return f"{head}{number:05d}"


@cache
def _after_last(column: InstrumentedAttribute[str]) -> Select[Any]:
    """The lowest free number that follows one of the newest rows; None where no newest row has a number.

    Nearly always the next number, and fast; a far-off number that a user typed is not continued, unless all the newest
    rows have one. A number that was rolled back or deleted may be assigned again.
    """
    head = bindparam("head", type_=Text)
    latest = select(column.expression.label("text")).order_by(column.class_.id.desc())
    rows = latest.limit(literal_column(str(LOOKED_BACK))).subquery("latest")
    digits = func.substr(rows.c.text, func.length(head) + 1)
    is_number = and_(func.starts_with(rows.c.text, head), digits.op("~")(_DIGITS))
    number = select(case((is_number, cast(digits, BigInteger) + 1)).label("number")).subquery("n")
    is_taken = exists().where(column.expression == _text(number.c.number))
    return select(func.min(number.c.number)).where(~is_taken)


@cache
def _search(column: InstrumentedAttribute[str]) -> Select[Any]:
    """A free number by galloping search: doubled until one is free, then bisected down to the last one taken.

    None where every power of two is taken. `taken` grows and `free` shrinks from row to row until they are adjacent.
    """
    at = select(
        cast(literal(0), BigInteger).label("taken"), cast(null(), BigInteger).label("free")
    ).cte("at", recursive=True)
    is_open = or_(
        and_(at.c.free.is_(None), at.c.taken < 2 ** (DOUBLINGS - 1)), at.c.free - at.c.taken > 1
    )
    number = func.coalesce(func.div(at.c.taken + at.c.free, 2), func.greatest(at.c.taken * 2, 1))
    tried = select(at.c.taken, at.c.free, cast(number, BigInteger).label("number"))
    t = tried.where(is_open).subquery("tried")
    is_taken = exists().where(column.expression == _text(t.c.number))
    step = select(
        case((is_taken, t.c.number), else_=t.c.taken), case((is_taken, t.c.free), else_=t.c.number)
    )
    found = at.union_all(step)
    return select(func.min(found.c.free))


def _text(number: ColumnElement[int]) -> ColumnElement[str]:
    """The head and a number, as the column has them."""
    digits = cast(number, Text)
    padded = func.lpad(digits, func.greatest(5, func.length(digits)), "0")
    return bindparam("head", type_=Text) + padded


def _scanned(session: Session, column: InstrumentedAttribute[str], head: str) -> int:
    """The first free number by linear search."""
    first = 1
    while True:
        numbers = range(first, first + SCANNED)
        texts = [f"{head}{number:05d}" for number in numbers]
        held = select(column).where(column == func.any(literal(texts, ARRAY(column.type))))
        found = set(session.scalars(held))
        for number, text in zip(numbers, texts, strict=True):
            if text not in found:
                return number
        first += SCANNED
