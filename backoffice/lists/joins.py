"""Leaving out the joins that a statement does not need.

PostgreSQL removes an outer join on a unique key by itself, but still holds the key's column to be
read: it then fetches every row where the index alone would do, and page 500 of a million rows takes
ten times as long.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Join, Select, Table, select
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.visitors import iterate


def prune_joins(
    rows: Select[Any], columns: Sequence[ColumnElement[Any]], order: Sequence[Any] = ()
) -> Select[Any]:
    """`columns` of `rows` in `order`, without the outer joins that neither they nor `rows` name."""
    whole = rows.with_only_columns(*columns).order_by(*order)
    froms = whole.get_final_froms()
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
    """`source` without its last joins, as long as nobody names them and they change no row."""
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
    """Whether every row on the left meets at most one on the right: by the right side's only key."""
    on = join.onclause
    if join.full or not isinstance(on, BinaryExpression) or on.operator is not operators.eq:
        return False
    keys = list(join.right.primary_key)
    return len(keys) == 1 and any(side.compare(keys[0]) for side in (on.left, on.right))


def _tables_in(*expressions: ColumnElement[Any]) -> set[str]:
    """The tables whose columns the expressions name, subqueries included."""
    tables = (getattr(part, "table", None) for e in expressions for part in iterate(e))
    return {table.fullname for table in tables if isinstance(table, Table)}
