"""Derived rows whose change is known: the figure's own SELECT over the new rows, less that over the old.

That holds where the SELECT over two sets of rows together is the sum of its answers over each: where
it reads one table, is grouped by the figure's key, and answers nothing but sums and counts.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Dialect,
    Float,
    Integer,
    Numeric,
    Select,
    cast,
    literal,
    table,
)
from sqlalchemy import column as plain_column
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import PGCompiler
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    BindParameter,
    Case,
    ClauseList,
    ColumnClause,
    FunctionFilter,
    Grouping,
    Label,
    UnaryExpression,
)
from sqlalchemy.sql.visitors import iterate

from .declaration import Figure, Source
from .expressions import fits, operands


class PlainCompiler(PGCompiler):
    """Compiles what is sent with its constants written into it."""

    def visit_unary(self, unary: UnaryExpression[Any], **options: Any) -> str:  # type: ignore[override]
        """The sign before what it turns; two in a row would begin a comment."""
        text = str(super().visit_unary(unary, **options))  # type: ignore[no-untyped-call]
        return f"-({text[1:]})" if text.startswith("--") else text

    def render_literal_value(self, value: Any, type_: Any) -> str:
        """A whole number without a type, as the minor unit to which money is rounded."""
        is_plain = type_._isnull and isinstance(value, int)
        return str(value) if is_plain else str(super().render_literal_value(value, type_))  # type: ignore[no-untyped-call]


DIALECT: Dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
"""For what is sent without parameters, where a “%” stands for itself."""
DIALECT.statement_compiler = PlainCompiler
DIALECT._backslash_escapes = False  # type: ignore[attr-defined]  # as in every PostgreSQL since 9.1

_ARITHMETIC = (operators.add, operators.sub, operators.mul)


def counted(figure: Figure) -> Column[Any] | None:
    """The column that says how many source rows stand behind a derived row: `count(*)`, unfiltered."""
    assert figure.select is not None
    selected = figure.select(*figure.models).selected_columns
    return next((c for c in figure.columns if _is_count(_bare(selected[c.key]))), None)


def not_additive(figure: Figure) -> Iterator[str]:
    """Why the change of derived rows could not be told from the changed source rows alone."""
    assert figure.select is not None
    rows: Any = figure.select(*figure.models)
    if not isinstance(rows, Select) or len(figure.models) != 1:
        yield "an incremental figure of derived rows is one SELECT from one table."
        return
    if list(rows.get_final_froms()) != list(figure.models):
        yield "an incremental figure of derived rows is one SELECT from one table."
    if any(isinstance(part, Select) for part in iterate(rows) if part is not rows):
        yield "an incremental figure of derived rows has no SELECT within its SELECT."
    if rows._having_criteria or rows._distinct or rows._has_row_limiting_clause:
        yield "an incremental figure of derived rows has no HAVING, DISTINCT or LIMIT."
    selected = rows.selected_columns
    groups = {id(_bare(part)) for part in rows._group_by_clauses}
    if groups != {id(_bare(selected[k.key])) for k in figure.key}:
        yield "an incremental figure of derived rows is grouped by its key, and by nothing else."
    if counted(figure) is None:
        yield "one column of an incremental figure of derived rows is count(), so that it is known when none is left."
    for col in figure.columns:
        if not (_is_additive(selected[col.key]) and fits(col, selected[col.key])):
            yield (
                f"{col} is no sum or count that the column holds as it is; a sum may add no NULL: "
                f"coalesce(sum(…), 0) where it might."
            )


def not_countable(figure: Figure) -> Iterator[str]:
    """What a column must be so that a change can be added to it."""
    for col in figure.columns:
        if col.nullable:
            yield f"nothing can be added to NULL; make {col} NOT NULL."
        if not _is_exact(col):
            yield f"{col} is no exact number; make it numeric or a whole number."


def summand(selected: Any) -> ColumnElement[Any] | None:
    """What one source row adds to a selected sum or count; None where that is not so simple."""
    part = _bare(selected)
    if _is_count(part):
        return literal(1)
    if getattr(part, "name", "") == "coalesce" and is_zero(list(part.clauses)[-1]):
        part = _bare(next(iter(part.clauses)))
    is_sum = getattr(part, "name", "") == "sum" and not isinstance(part, FunctionFilter)
    return next(iter(part.clauses)) if is_sum else None


def is_zero(part: Any) -> bool:
    """Whether a part of a definition is the constant 0."""
    return getattr(part, "value", None) == 0


def _bare(part: Any) -> Any:
    if isinstance(part, Label | Grouping):
        return _bare(part.element)
    if isinstance(part, ClauseList) and not getattr(part, "name", "") and len(part.clauses) == 1:
        return _bare(part.clauses[0])
    return part


def _is_exact(part: Any) -> bool:
    return isinstance(part.type, Numeric | Integer) and not isinstance(part.type, Float)


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
    if parts := operands(part):
        is_sum = part.operator in (operators.add, operators.sub)
        return is_sum and all(map(_is_additive, parts))
    name, clauses = getattr(part, "name", ""), list(getattr(part, "clauses", ()))
    if name == "coalesce":
        first, *rest = clauses
        return bool(rest) and all(map(is_zero, rest)) and _is_additive(first, may_be_null=True)
    if name not in ("sum", "count") or any(_is_distinct(c) for c in clauses):
        return False
    return name == "count" or (
        _is_exact(clauses[0]) and (may_be_null or _is_never_null(clauses[0]))
    )


def _is_distinct(part: Any) -> bool:
    return any(getattr(p, "operator", None) is operators.distinct_op for p in iterate(part)) or (
        getattr(part, "name", "") == "distinct"
    )


def _is_never_null(part: Any) -> bool:
    """Whether a summand surely has a value in every row."""
    part = _bare(part)
    if isinstance(part, BindParameter):
        return part.value is not None or part.callable is not None
    if isinstance(part, ColumnClause):
        return getattr(part, "nullable", True) is False
    if getattr(part, "name", "") == "coalesce":
        return any(map(_is_never_null, part.clauses))
    parts = _made_of(part)
    return bool(parts) and all(map(_is_never_null, parts))


def _made_of(part: Any) -> list[Any]:
    """The parts of an expression that has a value where all of them have one; none of any other."""
    if isinstance(part, UnaryExpression) and part.operator is operators.neg:
        return [part.element]
    if (parts := operands(part)) and part.operator in _ARITHMETIC:
        return parts
    if isinstance(part, Case) and part.else_ is not None:
        return [*(result for _, result in part.whens), part.else_]
    return list(part.clauses) if getattr(part, "name", "") in ("round", "abs") else []


def grouped_delta_sql(figure: Figure, source: Source, *, new: bool, old: bool) -> str:
    """SELECT owner, key, delta per column: new rows less old rows, by the figure's key.

    The key is told as JSON tells it: what it says does not depend on anybody's DateStyle.
    """
    parts = [_group(figure, source, "new_rows", "")] if new else []
    parts += [_group(figure, source, "old_rows", "-")] if old else []
    keys = ", ".join(f"to_jsonb(k{i}) #>> '{{}}'" for i in range(len(figure.key)))
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
    chosen = grouped.selected_columns
    named = [
        *(cast(chosen[k.key], k.type).label(f"k{i}") for i, k in enumerate(figure.key)),
        *(chosen[c.key].label(f"d{i}") for i, c in enumerate(figure.columns)),
    ]
    text = grouped.with_only_columns(*named).compile(
        dialect=DIALECT, compile_kwargs={"literal_binds": True}
    )
    names = [f"k{i}" for i in range(len(figure.key))]
    names += [f"{sign}coalesce(d{i}, 0) AS d{i}" for i in range(len(figure.columns))]
    return f"SELECT {', '.join(names)} FROM ({text}) AS {rows}_"
