"""Which declarations changes can be added to instead of recomputing: sums of totals, rows of sums and counts."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, ColumnElement, Float, Integer, Numeric, Select, literal
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import FunctionFilter, Grouping, UnaryExpression
from sqlalchemy.sql.visitors import iterate

from ..errors import DeclarationError
from .declaration import Figure
from .expressions import Total, fits, is_never_null, operands, unwrapped


def broken_rules(figure: Figure) -> Iterator[str]:
    """Why a figure cannot be incremental, one sentence per violated rule.

    An incremental figure is a sum of totals on its owner's row, or derived rows of sums and counts.
    """
    for col in figure.columns:
        if col.nullable:
            yield f"nothing can be added to NULL; make {col} NOT NULL."
        if not _is_exact(col):
            yield f"{col} is no exact number; make it numeric or a whole number."
    if figure.derived_rows:
        yield from _not_additive(figure)
        return
    if figure.select is not None:
        yield "an incremental SELECT derives rows; a column of rows that exist is a sum of totals."
    if figure.owner is not figure.primary_key:
        yield "an incremental figure stands on its owner's row."
    for col, definition in figure.definitions.items():
        if not all(fits(col, part.argument) for _, part in terms_of(figure, definition)):
            yield f"what is added to {col} has more decimals than it; round what is added."


def terms_of(figure: Figure, definition: Any, sign: int = 1) -> list[tuple[int, Total]]:
    """The totals that a definition adds (+1) and subtracts (−1).

    Raises:
        DeclarationError: when the definition is anything but a sum of totals; its change could
            not be computed from the changed rows alone.
    """
    if isinstance(definition, Grouping):
        return terms_of(figure, definition.element, sign)
    if isinstance(definition, UnaryExpression) and definition.operator is operators.neg:
        return terms_of(figure, definition.element, -sign)
    parts = operands(definition)
    if parts and definition.operator in (operators.add, operators.sub):
        first, *others = parts
        further = -sign if definition.operator is operators.sub else sign
        added = (term for part in others for term in terms_of(figure, part, further))
        return [*terms_of(figure, first, sign), *added]
    if getattr(definition, "name", "") == "coalesce":
        first, *rest = definition.clauses
        if isinstance(first, Total) and rest and all(_is_zero(r) for r in rest):
            return [(sign, first)]
    raise DeclarationError(
        f"{figure.name}: an incremental figure is a sum of totals, each with zero where there is "
        f"nothing to add (coalesce(total(…), 0)); “{definition}” is not one."
    )


def _not_additive(figure: Figure) -> Iterator[str]:
    """Why the change of derived rows cannot be computed from the changed source rows alone."""
    rows: Any = figure.rows
    is_select = isinstance(rows, Select) and len(figure.models) == 1
    if not is_select or list(rows.get_final_froms()) != list(figure.models):
        yield "an incremental figure of derived rows is one SELECT from one table."
        return
    if any(isinstance(part, Select) for part in iterate(rows) if part is not rows):
        yield "an incremental figure of derived rows has no SELECT within its SELECT."
    if rows._having_criteria or rows._distinct or rows._has_row_limiting_clause:
        yield "an incremental figure of derived rows has no HAVING, DISTINCT or LIMIT."
    selected = rows.selected_columns
    groups = {id(unwrapped(part)) for part in rows._group_by_clauses}
    if groups != {id(unwrapped(selected[k.key])) for k in figure.key}:
        yield "an incremental figure of derived rows is grouped by its key, and by nothing else."
    if counted(figure) is None:
        yield "one column of an incremental figure of derived rows is count(), so that it is known when none is left."
    for col in figure.columns:
        if not (_is_additive(selected[col.key]) and fits(col, selected[col.key])):
            yield (
                f"{col} is no sum or count that the column holds as it is; a sum may add no NULL: "
                f"coalesce(sum(…), 0) where it might."
            )


def counted(figure: Figure) -> Column[Any] | None:
    """The column that counts the source rows of a derived row: `count(*)`, unfiltered."""
    selected = figure.rows.selected_columns
    return next((c for c in figure.columns if _is_count(unwrapped(selected[c.key]))), None)


def summand(selected: Any) -> ColumnElement[Any] | None:
    """What one source row adds to a selected sum or count; None where it cannot be derived."""
    part = unwrapped(selected)
    if _is_count(part):
        return literal(1)
    if getattr(part, "name", "") == "coalesce" and _is_zero(list(part.clauses)[-1]):
        part = unwrapped(next(iter(part.clauses)))
    is_sum = getattr(part, "name", "") == "sum" and not isinstance(part, FunctionFilter)
    return next(iter(part.clauses)) if is_sum else None


def _is_zero(part: Any) -> bool:
    """Whether a part of a definition is the constant 0."""
    return getattr(part, "value", None) == 0


def _is_exact(part: Any) -> bool:
    return isinstance(part.type, Numeric | Integer) and not isinstance(part.type, Float)


def _is_count(part: Any) -> bool:
    clauses = list(getattr(part, "clauses", ()))
    return getattr(part, "name", "") == "count" and all(
        getattr(c, "name", "") == "*" for c in clauses
    )


def _is_additive(part: Any, may_be_null: bool = False) -> bool:
    """Whether the value over two sets of rows together is the sum of its values over each."""
    part = unwrapped(part)
    if isinstance(part, FunctionFilter):
        return _is_additive(part.func, may_be_null) and (may_be_null or part.func.name == "count")
    if isinstance(part, UnaryExpression):
        return part.operator is operators.neg and _is_additive(part.element)
    if parts := operands(part):
        is_sum = part.operator in (operators.add, operators.sub)
        return is_sum and all(map(_is_additive, parts))
    name, clauses = getattr(part, "name", ""), list(getattr(part, "clauses", ()))
    if name == "coalesce":
        first, *rest = clauses
        return bool(rest) and all(map(_is_zero, rest)) and _is_additive(first, may_be_null=True)
    if name not in ("sum", "count") or any(_is_distinct(c) for c in clauses):
        return False
    return name == "count" or (_is_exact(clauses[0]) and (may_be_null or is_never_null(clauses[0])))


def _is_distinct(part: Any) -> bool:
    return any(getattr(p, "operator", None) is operators.distinct_op for p in iterate(part)) or (
        getattr(part, "name", "") == "distinct"
    )
