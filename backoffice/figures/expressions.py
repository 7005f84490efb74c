"""What a declaration may say beyond SQLAlchemy's own expressions, and how a declaration is read.

A declaration is an ordinary SQLAlchemy expression over mapped columns. `total` is the one thing
that it cannot say: a sum over child rows. It stands in the expression as a leaf, and every
statement of the core (verify, heal, preview, delta) replaces that leaf by the joined sum.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from typing import Any, cast

from sqlalchemy import Column, ColumnElement, Table
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import (
    BinaryExpression,
    ColumnClause,
    ExpressionClauseList,
    Grouping,
)
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from .errors import DeclarationError

_serial = count(1)

Expression = ColumnElement[Any]


class Total(ColumnClause[Decimal]):
    """The sum of `argument` over the child rows whose `by` column names this row; NULL without any."""

    inherit_cache = False

    def __init__(self, argument: Expression, by: Column[Any], where: Expression | None) -> None:
        super().__init__(f"total_{next(_serial)}", argument.type)
        self.argument = argument
        self.by = by
        self.where = where
        self.child = by.table


def total(argument: Any, *, by: Any, where: Any = None) -> Total:
    """Sum `argument` over the rows whose foreign key `by` points here, those that meet `where` only.

    NULL where there is no such row, so `coalesce(total(…), fallback)` says what then holds.
    """
    return Total(expression(argument), column(by), None if where is None else expression(where))


def expression(value: Any) -> Expression:
    """The plain expression behind an ORM attribute or expression."""
    plain = value.__clause_element__() if hasattr(value, "__clause_element__") else value
    if not isinstance(plain, ColumnElement):
        raise DeclarationError(f"{value!r} is not a column expression.")
    return plain


def column(attribute: Any) -> Column[Any]:
    """The table's column behind a mapped attribute."""
    if isinstance(attribute, InstrumentedAttribute):
        attribute = attribute.expression
    if not isinstance(attribute, Column) or not isinstance(attribute.table, Table):
        raise DeclarationError(f"{attribute!r} is not a column of a table.")
    return attribute.table.c[attribute.key]


def columns_in(element: Any) -> Iterator[Column[Any]]:
    """Every table column that `element` reads; those inside a `Total` are not among them."""
    for part in iterate(element):
        if isinstance(part, Column) and isinstance(part.table, Table):
            yield part.table.c[part.key]


def totals_in(element: Any) -> Iterator[Total]:
    """Every `Total` that stands in `element`."""
    for part in iterate(element):
        if isinstance(part, Total):
            yield part


def operands(element: Any) -> list[Any]:
    """What an operator stands between: two parts, or more where it is chained (a + b + c); none elsewhere."""
    if isinstance(element, BinaryExpression):
        return [element.left, element.right]
    return list(element.clauses) if isinstance(element, ExpressionClauseList) else []


def replace(element: Expression, leaf: Callable[[Any], Expression | None]) -> Expression:
    """`element` with each leaf (column or `Total`) for which `leaf` answers replaced by the answer.

    An answer that is itself composed stands in brackets: SQLAlchemy sets brackets while an expression is
    built, and a column needed none. Without them x = a − b in y = c − x would read c − a − b.
    """

    def substitute(part: Any, **_: Any) -> Expression | None:
        if isinstance(part, Total):
            return _bracketed(leaf(part))
        if isinstance(part, Column) and part.table is not None:
            return _bracketed(leaf(part.table.c[part.key]))
        return None

    return replacement_traverse(element, {}, cast(Any, substitute))


def _bracketed(answer: Expression | None) -> Expression | None:
    if answer is None or isinstance(answer, ColumnClause):
        return answer
    return Grouping(answer)
