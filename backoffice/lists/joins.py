"""Omits the joins that a statement does not need, and determines which joined values may be NULL.

PostgreSQL removes an outer join on a unique key by itself, but still treats the key's column as needed: it then
fetches every row where an index-only scan would do, and page 500 of a million rows takes ten times as long.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Alias, ColumnElement, FromClause, Join, Select, Table, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.visitors import iterate

_DIALECT: Any = postgresql.dialect()  # type: ignore[no-untyped-call]


def froms_of(rows: Select[Any]) -> Sequence[FromClause]:
    """What `rows` selects from, its joins laid out.

    `get_final_froms` also compiles the whole statement, which takes ten times as long and is not used.
    """
    compiler = _DIALECT.statement_compiler(_DIALECT, None)
    froms: Sequence[FromClause] = rows._compile_state_factory(rows, compiler)._get_display_froms()
    return froms


def prune_joins(
    rows: Select[Any], columns: Sequence[ColumnElement[Any]], order: Sequence[Any] = ()
) -> Select[Any]:
    """`columns` of `rows` in `order`, without the outer joins that neither they nor `rows` use."""
    whole = rows.with_only_columns(*columns).order_by(*order)
    froms = froms_of(whole)
    if len(froms) != 1 or rows._group_by_clauses or rows._distinct:
        return whole
    where = rows.whereclause
    named = _tables_in(*columns, *order, *([] if where is None else [where]))
    kept = _kept(froms[0], named)
    if kept is froms[0]:
        return whole
    pruned = select(*columns).select_from(kept).order_by(*order)
    return pruned if where is None else pruned.where(where)


def _kept(source: FromClause, named: set[str]) -> FromClause:
    """`source` without its last joins, as long as they are unused and do not change the number of rows."""
    while (
        isinstance(source, Join)
        and source.isouter
        and isinstance(source.right, Table)
        and source.right.fullname not in named
        and _adds_no_row(source)
    ):
        source = source.left
    return source


def _adds_no_row(join: Join) -> bool:
    """Whether every row on the left joins at most one on the right: by the right side's only primary key column."""
    return not join.full and bool(_beside_the_key(join))


def _beside_the_key(join: Join) -> list[Any]:
    """What the right side's only primary key column is compared with; empty if the join has any other condition."""
    on, keys = join.onclause, list(join.right.primary_key)
    if not isinstance(on, BinaryExpression) or on.operator is not operators.eq or len(keys) != 1:
        return []
    sides = ((on.left, on.right), (on.right, on.left))
    return [other for key, other in sides if key.compare(keys[0])]


def _tables_in(*expressions: ColumnElement[Any]) -> set[str]:
    """The tables with columns in the expressions, subqueries included."""
    tables = (getattr(part, "table", None) for e in expressions for part in iterate(e))
    return {table.fullname for table in tables if isinstance(table, Table)}


def may_lack(rows: Select[Any], value: ColumnElement[Any]) -> bool:
    """Whether `value` may be NULL in `rows`: its column is nullable, or its table is joined by an optional join."""
    table = getattr(value, "table", None)
    if getattr(value, "nullable", True) or not isinstance(table, Table | Alias):
        return True
    froms = froms_of(rows.with_only_columns(value))
    return not any(_always_holds(source, table.name) for source in froms)


def _always_holds(source: FromClause, table: str) -> bool:
    """Whether every row of `source` has a row of that table."""
    if not isinstance(source, Join):
        return getattr(source, "name", None) == table
    if source.full:
        return False
    if _always_holds(source.left, table):
        return True
    return _always_holds(source.right, table) and (not source.isouter or _always_meets(source))


def _always_meets(join: Join) -> bool:
    """Whether every row on the left joins one on the right: by a NOT NULL foreign key."""
    right: Any = getattr(join.right, "element", join.right)
    return any(
        not getattr(other, "nullable", True)
        and any(
            key.column.table.fullname == getattr(right, "fullname", "")
            for key in other.foreign_keys
        )
        and _always_holds(join.left, other.table.name)
        for other in _beside_the_key(join)
    )
