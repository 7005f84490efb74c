"""Generates the next number of a series, like PAY-2026-00002 after PAY-2026-00001.

A number is taken from the series in a transaction of its own: concurrent users get different numbers, and a number is
never given twice, even if the record is rolled back or deleted. So a series may have gaps.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    Connection,
    Engine,
    Integer,
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
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from ..base import Base
from ..base.spelling import look_of
from .connections import row_outside
from .objects import DatabaseObject, refusal

DOUBLINGS = 31
"""Numbers go up to 2 to the power of this."""
LOOKED_BACK = 10
"""The newest rows, one of which the next number nearly always follows."""
SCANNED = 10_000
"""Numbers per statement in the linear search, which is used where every power of two is taken."""
DIGITS = 5
"""The digits of a number; more where they do not suffice."""

_MOST_DIGITS = 9
_MOST = 10**12
"""The last number of a series: far above those that are ever given, and below the end of BIGINT."""
_ONLY_LOOKS = "numbers_are_only_looked_up"
"""The key of a session's `info` while its numbers are looked up and not taken."""


class NumberSeries(Base):
    """The last number that was given of a series: of a column (`orders.number`), after a head (`SO-`)."""

    __tablename__ = "number_series"
    __table_args__ = (CheckConstraint(f"last BETWEEN 0 AND {_MOST}", name="last"),)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    head: Mapped[str] = mapped_column(Text, primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)


TRIGGERS = (
    DatabaseObject(
        "backoffice_number_series_forward",
        "\nBEGIN\n  "
        + refusal("A number series never goes back.", "Type the number that you mean.")
        + "\nEND",
        "number_series", ("update",), is_before=True, is_for_each_row=True,
        when="((new.last < old.last) OR (new.name <> old.name) OR (new.head <> old.head))",
    ),
)  # fmt: skip
"""No program gives a number twice by setting a series back."""

_KEEP = """
INSERT INTO public.number_series AS s (name, head, last) VALUES (%(name)s, %(head)s, %(after)s)
ON CONFLICT (name, head) DO UPDATE SET last = greatest(s.last, excluded.last)
WHERE s.last < excluded.last RETURNING last
"""
_KEEP_NEXT = """
UPDATE public.number_series SET last = %(after)s WHERE name = %(name)s AND head = %(head)s AND last = %(after)s - 1
RETURNING last
"""
_TAKE = """
INSERT INTO public.number_series AS s (name, head, last) VALUES (%(name)s, %(head)s, %(after)s + 1)
ON CONFLICT (name, head) DO UPDATE SET last = greatest(s.last, excluded.last - 1) + 1
WHERE s.last < %(most)s RETURNING last
"""
_LOOK = """
SELECT greatest((SELECT last FROM public.number_series WHERE name = %(name)s AND head = %(head)s), %(after)s) + 1
"""


def next_number(
    session: Session, column: InstrumentedAttribute[str], head: str, digits: int = DIGITS
) -> str:
    """Take the next free number of the series: `head` with at least so many digits.

    It follows the last one given, and one that `column` has. Numbers of other transactions that are not yet committed
    are never given; one that another user typed at this moment may be.
    """
    after, step = following(session, column, head, digits) - 1, 1
    while True:
        number = _from_series(session, column, head, after)
        text = f"{head}{number:0{digits}d}"
        if session.scalar(select(column).where(look_of(column) == look_of(literal(text)))) is None:
            return text
        after, step = number + step - 1, step * 2  # a user has typed this one


def keep_number(session: Session, column: InstrumentedAttribute[str], text: str) -> None:
    """Keep the number of a row that is about to give it up from being given again.

    Where it is the last of its series, so that the next one would take it. A far-off number that a user typed is not.
    """
    head, digits = split(text)
    if digits:
        is_last = int(digits) + 1 == following(session, column, head, len(digits))
        _outside(session, _KEEP if is_last else _KEEP_NEXT, column, head, int(digits))


def split(text: str) -> tuple[str, str]:
    """The head of a number, and its last digits: at most nine."""
    digits = text[len(text.rstrip("0123456789")) :][-_MOST_DIGITS:]
    return text.removesuffix(digits), digits


@contextmanager
def numbers_only_looked_up(session: Session) -> Iterator[None]:
    """Within it no number is taken: what is shown before it is done must leave nothing behind."""
    before = session.info.get(_ONLY_LOOKS, False)
    session.info[_ONLY_LOOKS] = True
    try:
        yield
    finally:
        session.info[_ONLY_LOOKS] = before


def _from_series(
    session: Session, column: InstrumentedAttribute[str], head: str, after: int
) -> int:
    statement = _LOOK if session.info.get(_ONLY_LOOKS) else _TAKE
    row = _outside(session, statement, column, head, after)
    return int(row[0]) if row else after + 1  # another program has used the series up


def _outside(
    session: Session, statement: str, column: InstrumentedAttribute[str], head: str, after: int
) -> Any:
    name = f"{column.class_.__tablename__}.{column.key}"
    bind: Engine | Connection = session.get_bind()
    values = {"name": name, "head": head, "after": after, "most": _MOST}
    return row_outside(bind.engine, statement, values)


def following(
    session: Session, column: InstrumentedAttribute[str], head: str, digits: int = DIGITS
) -> int:
    """A free number that follows one that `column` has, by what this transaction sees.

    Free is a number like which no text looks: so-0022 takes SO-0022. It looks up single texts, so that neither the
    collation nor a million other texts matter.
    """
    values = {"head": head, "digits": digits}
    number: int | None = session.scalar(_after_last(column), values)
    if number is None:
        number = session.scalar(_search(column), values)
    return _scanned(session, column, values) if number is None else number


_LEAST_DIGITS = bindparam("digits", type_=Integer)


@cache
def _after_last(column: InstrumentedAttribute[str]) -> Select[Any]:
    """The lowest free number that follows one of the newest rows; None where no newest row has a number.

    Nearly always the next number, and fast; a far-off number that a user typed is not continued, unless all the newest
    rows have one.
    """
    padded = look_of(bindparam("head", type_=Text) + "0")
    head = func.left(padded, -1)  # with the blank before the digits, if there is one
    latest = select(look_of(column.expression).label("text")).order_by(column.class_.id.desc())
    rows = latest.limit(literal_column(str(LOOKED_BACK))).subquery("latest")
    digits = func.substr(rows.c.text, func.length(head) + 1)
    is_long_enough = func.length(digits) == _LEAST_DIGITS, digits.op("~")("^[1-9]")
    is_number = and_(
        func.starts_with(rows.c.text, head),
        digits.op("~")(f"^[0-9]{{1,{_MOST_DIGITS}}}$"),
        func.length(digits) >= _LEAST_DIGITS,
        or_(*is_long_enough),
    )
    number = select(case((is_number, cast(digits, BigInteger) + 1)).label("number")).subquery("n")
    is_taken = exists().where(look_of(column.expression) == look_of(_text(number.c.number)))
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
    is_taken = exists().where(look_of(column.expression) == look_of(_text(t.c.number)))
    step = select(
        case((is_taken, t.c.number), else_=t.c.taken), case((is_taken, t.c.free), else_=t.c.number)
    )
    found = at.union_all(step)
    return select(func.min(found.c.free))


def _text(number: ColumnElement[int]) -> ColumnElement[str]:
    """The head and a number, as the column has them."""
    digits = cast(number, Text)
    padded = func.lpad(digits, func.greatest(_LEAST_DIGITS, func.length(digits)), "0")
    return bindparam("head", type_=Text) + padded


def _scanned(
    session: Session, column: InstrumentedAttribute[str], values: Mapping[str, Any]
) -> int:
    """The first free number by linear search."""
    first = 1
    while True:
        numbers = range(first, first + SCANNED)
        texts = [f"{values['head']}{number:0{values['digits']}d}" for number in numbers]
        tried = func.unnest(literal(texts, ARRAY(Text))).column_valued("tried")
        held = select(tried).where(exists().where(look_of(column.expression) == look_of(tried)))
        found = set(session.scalars(held))
        for number, text in zip(numbers, texts, strict=True):
            if text not in found:
                return number
        first += SCANNED
