"""How many decimals an expression can have, and what a column of fewer makes of it.

PostgreSQL rounds what is stored to the column's decimals. An expected value of more would differ
from it for ever, so an expected value is always what its column can hold.
"""

from decimal import Decimal
from functools import singledispatch
from typing import Any

from sqlalchemy import Column, Integer, Numeric, func
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    Case,
    ColumnClause,
    ExpressionClauseList,
    FunctionFilter,
    Grouping,
    Label,
    Null,
    Over,
    UnaryExpression,
)
from sqlalchemy.sql.functions import FunctionElement

from .expressions import Expression, Total, operands

_AS_THE_FINEST_ARGUMENT = {"coalesce", "sum", "min", "max", "abs", "greatest", "least"}


def held(col: Column[Any], expected: Expression) -> Expression:
    """`expected` as `col` holds it: rounded, half away from zero, where it can have more decimals."""
    return expected if fits(col, expected) else func.round(expected, _room(col), type_=col.type)


def fits(col: Column[Any], expected: Expression) -> bool:
    """Whether `expected` surely has no more decimals than `col` holds."""
    room, known = _room(col), decimals(expected)
    return room is None or (known is not None and known <= room)


@singledispatch
def decimals(_: Any) -> int | None:
    """The decimals that an expression has at most; None where that cannot be told."""
    return None


@decimals.register
def _(part: ColumnClause) -> int | None:  # type: ignore[type-arg]
    [*roots] = part.base_columns  # of a subquery's column: what stands there
    return _room(part) if part in roots else _finest(roots)


@decimals.register
def _(part: Total) -> int | None:
    return decimals(part.argument)


@decimals.register(Grouping)
@decimals.register(Label)
@decimals.register(Over)
def _(part: Any) -> int | None:
    return decimals(part.element)


@decimals.register
def _(part: FunctionFilter) -> int | None:  # type: ignore[type-arg]
    return decimals(part.func)


@decimals.register
def _(_: Null) -> int:
    return 0


@decimals.register
def _(part: BindParameter) -> int | None:  # type: ignore[type-arg]
    value = part.value
    if isinstance(value, Decimal) and value.is_finite():
        return max(0, -int(value.as_tuple().exponent))
    return 0 if isinstance(value, int) else None


@decimals.register
def _(part: UnaryExpression) -> int | None:  # type: ignore[type-arg]
    return decimals(part.element) if part.operator is operators.neg else None


@decimals.register(BinaryExpression)
@decimals.register(ExpressionClauseList)
def _(part: Any) -> int | None:
    parts = operands(part)
    if part.operator in (operators.add, operators.sub):
        return _finest(parts)
    known = [decimals(factor) for factor in parts]
    if part.operator is not operators.mul or None in known:
        return None
    return sum(k for k in known if k is not None)


@decimals.register
def _(part: Case) -> int | None:  # type: ignore[type-arg]
    results = [result for _, result in part.whens]
    return _finest([*results, part.else_] if part.else_ is not None else results)


@decimals.register
def _(part: FunctionElement) -> int | None:  # type: ignore[type-arg]
    name = getattr(part, "name", "")
    if name == "count":
        return 0
    if name == "round":
        _, *digits = part.clauses
        given = getattr(digits[0], "value", None) if digits else 0
        return given if isinstance(given, int) else _room(part)  # known only when it runs
    return _finest(list(part.clauses)) if name in _AS_THE_FINEST_ARGUMENT else None


def _room(part: Any) -> int | None:
    """The decimals of a typed part; None where its type has no fixed number of them."""
    if isinstance(part.type, Integer):
        return 0
    return part.type.scale if isinstance(part.type, Numeric) else None


def _finest(parts: list[Any]) -> int | None:
    known = [decimals(part) for part in parts]
    return None if None in known else max((k for k in known if k is not None), default=None)
