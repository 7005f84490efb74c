"""Checks: two sums that must be equal, declared once and compared in one snapshot.

A figure is compared with its own definition, owner by owner. A check compares two records of the same money over the
whole book: stored totals on the left, the sum of the documents on the right. It holds where both are equal in every
part, so that a surplus in one part never offsets a shortage in another. A check is never healed: where it fails
although every figure is right, something is counted twice or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property, reduce
from operator import add
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    Numeric,
    Select,
    Subquery,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from ..errors import DeclarationError
from .expressions import columns_in

SHOWN = 50
"""Maximum number of parts shown: those that differ most."""

NAN = Decimal("NaN")

Rows = Select[*tuple[Any, ...]]
"""A SELECT of amounts, each optionally preceded by its part."""


@dataclass(frozen=True, eq=False)
class Sum:
    """One sum of a side: its title, its sign, and the SELECT of its amounts.

    The SELECT's last column is the amount; the column before it, if there is one, is the part of the amount.
    """

    title: str
    rows: Rows
    sign: str = "+"

    def signed(self, amount: Any) -> Any:
        """An amount, or a column of amounts, with the sign of this sum."""
        return amount if self.sign == "+" else -amount


@dataclass(frozen=True, eq=False)
class Side:
    """The sums of one side of a check; sides can be added and subtracted."""

    sums: tuple[Sum, ...]

    def __add__(self, other: "Side") -> "Side":
        return Side((*self.sums, *other.sums))

    def __sub__(self, other: "Side") -> "Side":
        turned = {"+": "−", "−": "+"}
        return Side((*self.sums, *(replace(one, sign=turned[one.sign]) for one in other.sums)))


@dataclass(frozen=True)
class Part:
    """The values of both sides' sums, in order, for one part; `label` is None in a check without parts."""

    label: str | None
    sums: tuple[Decimal, ...]
    left: Decimal
    right: Decimal

    @property
    def difference(self) -> Decimal:
        """Right minus left."""
        return self.right - self.left

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as strings."""
        amounts = ("left", "right", "difference")
        sums = [str(one) for one in self.sums]
        return {"part": self.label, "sums": sums, **{n: str(getattr(self, n)) for n in amounts}}


@dataclass(frozen=True)
class Compared:
    """The result of a check in one snapshot: the amounts of both sides, how many parts there are, and how many differ.

    `gross` is the sum of the parts' absolute differences.
    """

    check: "Check"
    whole: Part
    parts: int
    differing: int
    gross: Decimal

    @property
    def holds(self) -> bool:
        """Whether both sides are the same in every part."""
        return self.differing == 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts as strings."""
        both = (*self.check.left.sums, *self.check.right.sums)
        sums = [
            {"title": one.title, "sign": one.sign, "amount": str(amount)}
            for one, amount in zip(both, self.whole.sums, strict=True)
        ]
        count = len(self.check.left.sums)
        return {
            "check": self.check.name,
            "title": self.check.title,
            "holds": self.holds,
            "left": str(self.whole.left),
            "right": str(self.whole.right),
            "difference": str(self.whole.difference),
            "gross": str(self.gross),
            "parts": self.parts,
            "differing": self.differing,
            "left_sums": sums[:count],
            "right_sums": sums[count:],
        }


@dataclass(frozen=True, eq=False)
class Check:
    """Two sums that must be equal; see `check`."""

    name: str
    title: str
    left: Side
    right: Side

    def __repr__(self) -> str:
        return f"<Check {self.name}>"

    @cached_property
    def columns(self) -> frozenset[Column[Any]]:
        """Every column that either side reads."""
        both = (*self.left.sums, *self.right.sums)
        return frozenset(column for one in both for column in columns_in(one.rows))

    @cached_property
    def tables(self) -> frozenset[Table]:
        """The tables of these columns."""
        return frozenset(column.table for column in self.columns)

    @cached_property
    def _parts(self) -> Subquery:
        """`part, n0, n1, … (a sum each), left_, right_, differs`: one row per part."""
        both = (*self.left.sums, *self.right.sums)
        entries = union_all(*(_entries(number, one) for number, one in enumerate(both))).subquery()
        sums = [_of_number(entries, number) for number in range(len(both))]
        signed = [one.signed(amount) for one, amount in zip(both, sums, strict=True)]
        count = len(self.left.sums)
        left, right = (reduce(add, side) for side in (signed[:count], signed[count:]))
        grouped = (
            select(
                entries.c.part,
                *(one.label(f"n{number}") for number, one in enumerate(sums)),
                left.label("left_"),
                right.label("right_"),
            )
            .group_by(entries.c.part)
            .subquery()
        )
        nan = literal(NAN, Numeric)  # NaN equals itself, but is no amount
        differs = or_(grouped.c.left_ != grouped.c.right_, grouped.c.left_ == nan)
        return select(grouped, differs.label("differs")).subquery()

    @cached_property
    def _whole(self) -> Select[Any]:
        parts, zero = self._parts, literal(0, Numeric)
        count = len(self.left.sums) + len(self.right.sums)
        sums = [parts.c[f"n{number}"] for number in range(count)] + [parts.c.left_, parts.c.right_]
        return select(
            func.count().label("parts"),
            func.count().filter(parts.c.differs).label("differing"),
            func.coalesce(func.sum(func.abs(parts.c.right_ - parts.c.left_)), zero).label("gross"),
            *(func.coalesce(func.sum(one), zero).label(one.key) for one in sums),
        )

    @cached_property
    def _differing(self) -> Select[Any]:
        parts = self._parts
        size = func.abs(parts.c.right_ - parts.c.left_).desc()
        wanted = select(parts).where(parts.c.differs).order_by(size, parts.c.part)
        return wanted.limit(bindparam("limit", type_=Integer))

    def compare(self, connection: Connection) -> Compared:
        """Compare both sides now, in one statement and so in one snapshot."""
        row = connection.execute(self._whole).mappings().one()
        return Compared(self, self._part(None, row), row["parts"], row["differing"], row["gross"])

    def differing(self, connection: Connection, limit: int = SHOWN) -> Sequence[Part]:
        """The parts in which the sides differ, largest difference first, with every sum in them."""
        rows = connection.execute(self._differing, {"limit": limit}).mappings()
        return [self._part(row["part"], row) for row in rows]

    def every(self, connection: Connection) -> Sequence[Part]:
        """All parts, in no particular order, with every sum in them."""
        rows = connection.execute(select(self._parts)).mappings()
        return [self._part(row["part"], row) for row in rows]

    def _part(self, label: str | None, row: Any) -> Part:
        count = len(self.left.sums) + len(self.right.sums)
        sums = tuple(row[f"n{number}"] for number in range(count))
        return Part(label, sums, row["left_"], row["right_"])


def _entries(number: int, one: Sum) -> Select[Any]:
    rows = one.rows.subquery()
    *parts, amount = rows.c
    part: ColumnElement[Any] = parts[0] if parts else null()
    return select(
        literal(number, Integer).label("number"),
        cast(part, Text).label("part"),
        cast(amount, Numeric).label("amount"),
    )


def _of_number(entries: Subquery, number: int) -> ColumnElement[Any]:
    """The total of one sum's entries; zero where there are none."""
    added = func.sum(entries.c.amount).filter(entries.c.number == number)
    return func.coalesce(added, literal(0, Numeric))


def amounts(title: str, rows: Rows) -> Side:
    """A side, or a term of one: the amounts that a SELECT returns (last column), each optionally with its part.

    Raises:
        DeclarationError: for a SELECT with any other columns.
    """
    *parts, amount = rows.selected_columns
    if len(parts) > 1 or not isinstance(amount.type, Numeric | Integer):
        raise DeclarationError(
            f"{title}: its SELECT answers an amount, or a part (the same text on both sides) and the amount in it."
        )
    return Side((Sum(title, rows),))


def check(name: str, left: Side, right: Side, *, title: str) -> Check:
    """Declare that both sides are equal in every part; the check is verified with the figures, and never healed.

    On the left are stored totals, on the right the sum of the rows that prove them. A domain declares its checks in the
    module of its figures.

    Raises:
        DeclarationError: where the sides cannot be compared.
    """
    widths = {len(one.rows.selected_columns) for one in (*left.sums, *right.sums)}
    if len(widths) != 1:
        raise DeclarationError(f"{name}: give every sum of it a part, or none.")
    if ":" in name or not name:
        raise DeclarationError(f"{name!r}: a check is named like a figure (payments.placed).")
    return Check(name, title, left, right)
