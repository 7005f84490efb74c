"""A definition as finance reads it: its terms in order, each with its sign."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import BindParameter, Column
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import Grouping, UnaryExpression

from .expressions import Total, operands

SIGNS = {
    operators.add: "+",
    operators.sub: "−",
    operators.mul: "×",
    operators.truediv: "÷",
}


def leaves(definition: Any, sign: str = "") -> Iterator[tuple[str, Any]]:
    """The signed leaves of a formula in reading order: columns, totals, and what is neither.

    A minus before a bracket turns the signs within; a bracket that is multiplied or divided stays
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
    """What stands in a bracket, in a rounding, or within a constant bound; anything else itself."""
    while True:
        if isinstance(definition, Grouping):
            definition = definition.element
        elif getattr(definition, "name", "") == "round" or _is_bounded(definition):
            definition = next(iter(definition.clauses))
        else:
            return definition


def _is_bounded(definition: Any) -> bool:
    """Whether it is a value that a constant keeps from falling below it, or from rising above."""
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
    """The total that a leaf is, or that it is with a fallback (`coalesce(total, …)`)."""
    if getattr(leaf, "name", "") == "coalesce" and hasattr(leaf, "clauses"):
        leaf = next(iter(leaf.clauses))
    return leaf if isinstance(leaf, Total) else None
