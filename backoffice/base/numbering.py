"""The next number of a year: PAY-2026-00001, PAY-2026-00002, …, whatever else is in the column."""

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
"""Rows that came last, one of which the next number nearly always follows."""
SCANNED = 10_000
"""Numbers that one statement looks for where a user has typed every doubling: then one after the other."""

_DIGITS = "^([0-9]{5}|[1-9][0-9]{5,8})$"
"""What `_text` makes of a number of up to nine digits."""

_LOCK = select(func.pg_advisory_xact_lock(func.hashtext(bindparam("head", type_=Text))))


def next_number(session: Session, column: InstrumentedAttribute[str], head: str) -> str:
    """A text of `head` and a number of five digits or more that `column` does not hold, after one that it does.

    Found by looking for single texts, so that neither the collation nor a million other texts matter.
    Those who ask for the same head wait for each other until their transactions end; so nobody asks
    while holding what another one needs for its number.
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
    """The lowest free number that follows one of the rows that came last; None where none of them has one.

    What nearly always is the next number, and soon found; a number far off that a user has typed leads nobody there,
    unless all that came last are so. A number that was given up may be given again.
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
    """The number that is free: doubled until one is, then halved what lies between that and the last one taken.

    None where every doubling is taken. `taken` grows and `free` shrinks from row to row, until one follows the other.
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
    """The head and a number, as they stand in the column."""
    digits = cast(number, Text)
    padded = func.lpad(digits, func.greatest(5, func.length(digits)), "0")
    return bindparam("head", type_=Text) + padded


def _scanned(session: Session, column: InstrumentedAttribute[str], head: str) -> int:
    """The first free number, looked for one after the other."""
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
