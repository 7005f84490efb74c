"""The change of an incremental figure, in the declaration's own terms: new rows minus old rows."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    case,
    func,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy import column as plain_column
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import Grouping, UnaryExpression

from .declaration import Figure, Source
from .errors import DeclarationError
from .expressions import Total, operands, replace
from .groups import DIALECT, grouped_delta_sql, is_zero


def terms_of(figure: Figure, definition: Any, sign: int = 1) -> list[tuple[int, Total]]:
    """The totals that a definition adds (+1) and subtracts (−1).

    Raises:
        DeclarationError: when the definition is anything but a sum of totals; its change could
            not be told from the changed rows alone.
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
        if isinstance(first, Total) and rest and all(is_zero(r) for r in rest):
            return [(sign, first)]
    raise DeclarationError(
        f"{figure.name}: an incremental figure is a sum of totals, each with zero where there is "
        f"nothing to add (coalesce(total(…), 0)); “{definition}” is not one."
    )


def delta_sql(figure: Figure, source: Source, *, new: bool, old: bool) -> str:
    """SELECT owner, key, delta per column, from a trigger's transition tables.

    `key` names the derived row that changes; it is null where the figure stands on its owner's row.
    """
    if figure.derived_rows:
        return grouped_delta_sql(figure, source, new=new, old=old)
    parts = [_contributions(figure, source, "new_rows", 1)] if new else []
    parts += [_contributions(figure, source, "old_rows", -1)] if old else []
    sums = ", ".join(f"sum(d{i})" for i in range(len(figure.columns)))
    moved = " OR ".join(f"sum(d{i}) <> 0" for i in range(len(figure.columns)))
    return (
        f"SELECT owner, NULL::text[], ARRAY[{sums}]::numeric[] FROM ({' UNION ALL '.join(parts)}) AS changed "
        f"WHERE owner IS NOT NULL GROUP BY owner HAVING {moved}"
    )


def _contributions(figure: Figure, source: Source, rows: str, sign: int) -> str:
    alias = table(rows, *(plain_column(c.key, c.type) for c in source.table.c))
    columns: list[ColumnElement[Any]] = [alias.c[source.owner.key].label("owner")]
    for i, col in enumerate(figure.columns):
        terms = terms_of(figure, figure.definitions[col], sign)
        added: ColumnElement[Any] = literal_column("0::numeric")
        for direction, part in terms:
            if part.by is source.owner:
                added = added + direction * _contribution(part, source.table, alias)
        columns.append(added.label(f"d{i}"))
    return str(select(*columns).compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))


def _contribution(part: Total, child: Table, rows: Any) -> ColumnElement[Any]:
    def leaf(col: Any) -> Any:
        return rows.c[col.key] if col.table is child else None

    amount = func.coalesce(replace(part.argument, leaf), 0)
    if part.where is None:
        return amount
    return case((replace(part.where, leaf), amount), else_=literal(0))
