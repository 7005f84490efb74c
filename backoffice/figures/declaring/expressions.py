"""The language of declarations: SQLAlchemy's own expressions, `total`, and how an expression is read.

A declaration is an ordinary SQLAlchemy expression over mapped columns. `total` adds the one thing
SQLAlchemy cannot express: a sum over child rows. It is a leaf of the expression, and every
statement of the core (verify, heal, preview, delta) replaces that leaf by the joined sum.

PostgreSQL rounds a stored value to the column's decimals. An expected value with more decimals would
always differ from it, so expected values are rounded to what the column can hold (`held`).
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import singledispatch
from itertools import count
from typing import Any, cast

from sqlalchemy import Column, ColumnElement, Integer, Numeric, Table, func
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    Case,
    ClauseList,
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
from sqlalchemy.sql.visitors import iterate, replacement_traverse

from ..errors import DeclarationError

_serial = count(1)

Expression = ColumnElement[Any]


class Total(ColumnClause[Decimal]):
    """The sum of `argument` over the child rows with this row's key in their `by` column; NULL without any."""

    inherit_cache = False

    def __init__(
        self, argument: Expression, by: Column[Any], where: Expression | None, title: str = ""
    ) -> None:
        super().__init__(f"total_{next(_serial)}", argument.type)
        self.argument = argument
        self.by = by
        self.where = where
        self.child = by.table
        self.title = title


def total(argument: Any, *, by: Any, where: Any = None, title: str = "") -> Total:
    """Sum `argument` over the rows that refer to this row by their foreign key `by`, and meet `where`.

    NULL where there is no such row; use `coalesce(total(…), fallback)` for a default. `title` names it among several
    terms.
    """
    condition = None if where is None else expression(where)
    return Total(expression(argument), column(by), condition, title)


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
    """Every `Total` in `element`."""
    for part in iterate(element):
        if isinstance(part, Total):
            yield part


def operands(element: Any) -> list[Any]:
    """The operands of an operator: two, or more where it is chained (a + b + c); none for anything else."""
    if isinstance(element, BinaryExpression):
        return [element.left, element.right]
    return list(element.clauses) if isinstance(element, ExpressionClauseList) else []


def unwrapped(part: Any) -> Any:
    """The content of a label, a bracket or a list of one; anything else unchanged."""
    if isinstance(part, Label | Grouping):
        return unwrapped(part.element)
    if isinstance(part, ClauseList) and not getattr(part, "name", "") and len(part.clauses) == 1:
        return unwrapped(part.clauses[0])
    return part


def replace(element: Expression, leaf: Callable[[Any], Expression | None]) -> Expression:
    """`element` with each leaf (column or `Total`) for which `leaf` returns an expression replaced by it.

    A composed replacement is put in brackets: SQLAlchemy sets brackets while an expression is built, and a column
    needed none. Without them, substituting x = a − b in y = c − x would give c − a − b.
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


_ARITHMETIC = (operators.add, operators.sub, operators.mul)
_AS_THE_FINEST_ARGUMENT = {"coalesce", "sum", "min", "max", "abs", "greatest", "least"}


def held(col: Column[Any], expected: Expression) -> Expression:
    """`expected` as `col` holds it: rounded, half away from zero, where it can have more decimals."""
    return expected if fits(col, expected) else func.round(expected, _room(col), type_=col.type)


def fits(col: Column[Any], expected: Expression) -> bool:
    """Whether `expected` provably has no more decimals than `col` holds."""
    room, known = _room(col), decimals(expected)
    return room is None or (known is not None and known <= room)


@singledispatch
def decimals(_: Any) -> int | None:
    """The maximum number of decimals of an expression; None where it is unknown."""
    return None


@decimals.register
def _(part: ColumnClause) -> int | None:  # type: ignore[type-arg]
    [*roots] = part.base_columns  # of a subquery's column: the columns it selects
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
        return given if isinstance(given, int) else _room(part)  # known only at run time
    return _finest(list(part.clauses)) if name in _AS_THE_FINEST_ARGUMENT else None


def _room(part: Any) -> int | None:
    """The decimals of a typed part; None where its type has no fixed number of them."""
    if isinstance(part.type, Integer):
        return 0
    return part.type.scale if isinstance(part.type, Numeric) else None


def _finest(parts: list[Any]) -> int | None:
    known = [decimals(part) for part in parts]
    return None if None in known else max((k for k in known if k is not None), default=None)


def is_never_null(part: Any) -> bool:
    """Whether an expression provably has a value in every row."""
    part = unwrapped(part)
    if isinstance(part, BindParameter):
        return part.value is not None or part.callable is not None
    if isinstance(part, ColumnClause):
        return getattr(part, "nullable", True) is False
    if getattr(part, "name", "") == "coalesce":
        return any(map(is_never_null, part.clauses))
    parts = _made_of(part)
    return bool(parts) and all(map(is_never_null, parts))


def _made_of(part: Any) -> list[Any]:
    """The parts of an expression that has a value whenever all of them have one; empty for any other."""
    if isinstance(part, UnaryExpression) and part.operator is operators.neg:
        return [part.element]
    if (parts := operands(part)) and part.operator in _ARITHMETIC:
        return parts
    if isinstance(part, Case) and part.else_ is not None:
        return [*(result for _, result in part.whens), part.else_]
    return list(part.clauses) if getattr(part, "name", "") in ("round", "abs") else []


SIGNS = {
    operators.add: "+",
    operators.sub: "−",
    operators.mul: "×",
    operators.truediv: "÷",
}


def leaves(definition: Any, sign: str = "") -> Iterator[tuple[str, Any]]:
    """The signed leaves of a formula in reading order: columns, totals, and parts that are neither.

    A minus before a bracket negates the signs within; a bracket that is multiplied or divided stays
    one leaf.
    """
    parts = operands(definition)
    if parts and definition.operator in SIGNS:
        own = SIGNS[definition.operator]
        multiplies = own in "×÷"
        read, further = (_factors, own) if multiplies else (leaves, _turned(own, sign))
        for number, part in enumerate(parts):
            yield from read(part, further if number else sign)
    elif isinstance(definition, UnaryExpression) and definition.operator is operators.neg:
        yield from leaves(definition.element, _turned("−", sign))
    elif (inner := _bare(definition)) is not definition:
        yield from leaves(inner, sign)
    elif isinstance(definition, Column):
        yield sign, definition.table.c[definition.key]
    else:
        yield sign, definition


def _bare(definition: Any) -> Any:
    """The content of a bracket, of a rounding, or of a bound by a constant; anything else unchanged."""
    while True:
        if isinstance(definition, Grouping):
            definition = definition.element
        elif getattr(definition, "name", "") == "round" or _is_bounded(definition):
            definition = next(iter(definition.clauses))
        else:
            return definition


def _is_bounded(definition: Any) -> bool:
    """Whether it is a value with a constant lower or upper bound."""
    if getattr(definition, "name", "") not in ("greatest", "least"):
        return False
    return all(isinstance(bound, BindParameter) for bound in list(definition.clauses)[1:])


def _factors(part: Any, sign: str) -> Iterator[tuple[str, Any]]:
    operator = getattr(_bare(part), "operator", None)
    is_sum = operator in (operators.add, operators.sub, operators.neg)
    divides_all = sign == "÷" and operator in SIGNS
    return iter([(sign, part)]) if is_sum or divides_all else leaves(part, sign)


def _turned(sign: str, outer: str) -> str:
    return {"+": "−", "−": "+"}.get(sign, sign) if outer == "−" else sign


def total_in(leaf: Any) -> Total | None:
    """The total of a leaf, with or without a fallback (`coalesce(total, …)`); None where it is none."""
    if getattr(leaf, "name", "") == "coalesce" and hasattr(leaf, "clauses"):
        leaf = next(iter(leaf.clauses))
    return leaf if isinstance(leaf, Total) else None
