"""The change of an incremental figure, in the declaration's own terms: new rows minus old rows."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Dialect,
    Select,
    Table,
    case,
    func,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy import column as plain_column
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    BinaryExpression,
    FunctionFilter,
    Grouping,
    Label,
    UnaryExpression,
)
from sqlalchemy.sql.visitors import iterate

from .decimals import fits
from .declaration import Figure, Source
from .errors import DeclarationError
from .expressions import Total, columns_in, replace

DIALECT: Dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
"""For what is sent without parameters, where a “%” stands for itself."""
DIALECT._backslash_escapes = False  # type: ignore[attr-defined]  # as in every PostgreSQL since 9.1


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
    if isinstance(definition, BinaryExpression):
        left, right = definition.left, definition.right
        if definition.operator is operators.add:
            return terms_of(figure, left, sign) + terms_of(figure, right, sign)
        if definition.operator is operators.sub:
            return terms_of(figure, left, sign) + terms_of(figure, right, -sign)
    if getattr(definition, "name", "") == "coalesce":
        first, *rest = definition.clauses
        if isinstance(first, Total) and rest and all(_is_zero(r) for r in rest):
            return [(sign, first)]
    raise DeclarationError(
        f"{figure.name}: an incremental figure is a sum of totals, each with zero where there is "
        f"nothing to add (coalesce(total(…), 0)); “{definition}” is not one."
    )


def _is_zero(part: Any) -> bool:
    return getattr(part, "value", None) == 0


def delta_sql(figure: Figure, source: Source, *, new: bool, old: bool) -> str:
    """SELECT owner, key, delta per column, from a trigger's transition tables.

    `key` names the derived row that changes; it is null where the figure stands on its owner's row.
    """
    if figure.derived_rows:
        return _grouped_delta_sql(figure, source, new=new, old=old)
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


# Derived rows: the figure's own SELECT, over the new rows and over the old ones


def counted(figure: Figure) -> Column[Any] | None:
    """The column that says how many source rows stand behind a derived row: `count(*)`, unfiltered."""
    assert figure.select is not None
    selected = figure.select(*figure.models).selected_columns
    return next((c for c in figure.columns if _is_count(_bare(selected[c.key]))), None)


def not_additive(figure: Figure) -> Iterator[str]:
    """Why the change of derived rows could not be told from the changed source rows alone."""
    assert figure.select is not None
    rows = figure.select(*figure.models)
    selected = rows.selected_columns
    if len(figure.models) != 1 or list(rows.get_final_froms()) != list(figure.models):
        yield "an incremental figure of derived rows reads one table."
    if any(isinstance(part, Select) for part in iterate(rows) if part is not rows):
        yield "an incremental figure of derived rows has no SELECT within its SELECT."
    if rows._having_criteria or rows._distinct or rows._has_row_limiting_clause:
        yield "an incremental figure of derived rows has no HAVING, DISTINCT or LIMIT."
    groups = {id(_bare(part)) for part in rows._group_by_clauses}
    if groups != {id(_bare(selected[k.key])) for k in figure.key}:
        yield "an incremental figure of derived rows is grouped by its key, and by nothing else."
    if counted(figure) is None:
        yield "one column of an incremental figure of derived rows is count(), so that it is known when none is left."
    for col in figure.columns:
        if not (_is_additive(_bare(selected[col.key])) and fits(col, selected[col.key])):
            yield (
                f"{col} is no sum or count that the column holds as it is; a sum may add no NULL: "
                f"coalesce(sum(…), 0) where it might."
            )


def summand(selected: Any) -> ColumnElement[Any] | None:
    """What one source row adds to a selected sum or count; None where that is not so simple."""
    part = _bare(selected)
    if _is_count(part):
        return literal(1)
    if getattr(part, "name", "") == "coalesce" and _is_zero(list(part.clauses)[-1]):
        part = _bare(next(iter(part.clauses)))
    is_sum = getattr(part, "name", "") == "sum" and not isinstance(part, FunctionFilter)
    return next(iter(part.clauses)) if is_sum else None


def _bare(part: Any) -> Any:
    return _bare(part.element) if isinstance(part, Label | Grouping) else part


def _is_count(part: Any) -> bool:
    clauses = list(getattr(part, "clauses", ()))
    return getattr(part, "name", "") == "count" and all(
        getattr(c, "name", "") == "*" for c in clauses
    )


def _is_additive(part: Any, may_be_null: bool = False) -> bool:
    """Whether the value over two sets of rows together is the sum of its values over each."""
    part = _bare(part)
    if isinstance(part, FunctionFilter):
        return _is_additive(part.func, may_be_null) and (may_be_null or part.func.name == "count")
    if isinstance(part, UnaryExpression):
        return part.operator is operators.neg and _is_additive(part.element)
    if isinstance(part, BinaryExpression):
        is_sum = part.operator in (operators.add, operators.sub)
        return is_sum and _is_additive(part.left) and _is_additive(part.right)
    name, clauses = getattr(part, "name", ""), list(getattr(part, "clauses", ()))
    if name == "coalesce":
        return _is_additive(clauses[0], may_be_null=True) and all(map(_is_zero, clauses[1:]))
    if name == "sum":
        return may_be_null or not any(c.nullable for c in columns_in(clauses[0]))
    return name == "count"


def _grouped_delta_sql(figure: Figure, source: Source, *, new: bool, old: bool) -> str:
    parts = [_group(figure, source, "new_rows", "")] if new else []
    parts += [_group(figure, source, "old_rows", "-")] if old else []
    keys = ", ".join(f"k{i}::text" for i in range(len(figure.key)))
    by = ", ".join(f"k{i}" for i in range(len(figure.key)))
    sums = ", ".join(f"sum(d{i})" for i in range(len(figure.columns)))
    moved = " OR ".join(f"sum(d{i}) <> 0" for i in range(len(figure.columns)))
    owner = f"k{figure.key.index(figure.owner)}"
    return (
        f"SELECT {owner}, ARRAY[{keys}], ARRAY[{sums}]::numeric[] "
        f"FROM ({' UNION ALL '.join(parts)}) AS changed "
        f"WHERE {owner} IS NOT NULL GROUP BY {by} HAVING {moved}"
    )


def _group(figure: Figure, source: Source, rows: str, sign: str) -> str:
    assert figure.select is not None
    relation = table(rows, *(plain_column(c.key, c.type) for c in source.table.c))
    grouped = figure.select(relation)
    named = [
        *(grouped.selected_columns[k.key].label(f"k{i}") for i, k in enumerate(figure.key)),
        *(grouped.selected_columns[c.key].label(f"d{i}") for i, c in enumerate(figure.columns)),
    ]
    text = grouped.with_only_columns(*named).compile(
        dialect=DIALECT, compile_kwargs={"literal_binds": True}
    )
    names = [f"k{i}" for i in range(len(figure.key))]
    names += [f"{sign}coalesce(d{i}, 0) AS d{i}" for i in range(len(figure.columns))]
    return f"SELECT {', '.join(names)} FROM ({text}) AS {rows}_"
