"""The one query helper of every list: a page of rows, the totals of all rows, the neighbours of one row.

A page is read in two steps: its keys by the index that yields the order, then the rows with these keys. So a page far
down the list reads the index that far, and joins only the rows it shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import gt, lt
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Select,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import UserDefinedType

from .declaration import Column, List, Row
from .joins import may_lack, prune_joins
from .state import State


class _Untyped(UserDefinedType[str]):
    """A text whose type PostgreSQL infers: that of an expression is not always what SQLAlchemy takes it for."""

    cache_ok = True


@dataclass(frozen=True)
class Totals:
    """The number of rows that match a filter, and the sum of each column that has a total."""

    count: int
    sums: Mapping[str, Decimal] = field(default_factory=dict)


def matching(user: Any, state: State) -> Select[Any]:
    """The rows that `user` may see and that match `state`; the caller selects the columns."""
    return state.listing.rows(user).where(*state.conditions)


def page_of(
    session: Session, user: Any, state: State, number: int, size: int
) -> tuple[list[Row], bool]:
    """Page `number` (from 1) of `size` rows, and whether there are more."""
    listing, every = state.listing, state.listing.rows(user)
    order = order_of(every, state)
    if listing.is_computed:
        wanted = matching(user, state).with_only_columns(*values_of(listing)).order_by(*order)
        found = session.execute(wanted.limit(size + 1).offset((number - 1) * size)).all()
        return _rows(found[:size]), len(found) > size
    keys = (
        prune_joins(matching(user, state), [listing.key.label("key")], order)
        .limit(size + 1)
        .offset((number - 1) * size)
        .subquery("page")
    )
    rows = session.execute(
        every.with_only_columns(*values_of(listing))
        .where(listing.key.in_(select(keys.c.key)))
        .order_by(*order)
    ).all()
    return _rows(rows[:size]), len(rows) > size


def _rows(found: Sequence[Any]) -> list[Row]:
    return [SimpleNamespace(**row._mapping) for row in found]


def values_of(listing: List) -> list[ColumnElement[Any]]:
    """All values of a row of the list."""
    values = {c.name: c.value for c in listing.columns} | dict(listing.also)
    return [listing.key.label("key"), *(v.label(name) for name, v in values.items())]


def totals_of(session: Session | Connection, user: Any, state: State) -> Totals:
    """The totals over all rows that match `state`, on any page; of the shown columns."""
    row = session.execute(_totals(user, state)).one()
    return Totals(row[0], {c.name: row[i] for i, c in enumerate(_summed(state), 1)})


def totals_cost(session: Session, user: Any, state: State) -> float:
    """The planner's estimated cost of the totals, in its own unit; about 100 a millisecond."""
    plan = session.execute(_Explained(_totals(user, state))).scalar_one()
    return float(plan[0]["Plan"]["Total Cost"])


def _totals(user: Any, state: State) -> Select[Any]:
    summed = _summed(state)
    values = [state.listing.key.label("key"), *(c.value.label(c.name) for c in summed)]
    rows = prune_joins(matching(user, state), values).subquery("matching")
    sums = [func.coalesce(func.sum(rows.c[c.name]), 0).label(c.name) for c in summed]
    return select(func.count().label("found"), *sums).select_from(rows)


def _summed(state: State) -> list[Column]:
    return [c for c in map(state.listing.column, state.columns) if c.total]


def order_of(rows: Select[Any], state: State) -> tuple[ColumnElement[Any], ...]:
    """The sort of the list's `rows`, with a tie-break that makes paging stable; NULLs last.

    NULLS LAST only if there may be NULLs: an index yields the order only as it was built.
    """
    value = state.listing.expression(state.sort.removeprefix("-"))
    down = state.sort.startswith("-")
    first = value.desc() if down else value.asc()
    if may_lack(rows, value):
        first = first.nulls_last()
    return first, state.listing.key.desc() if down else state.listing.key.asc()


def neighbours(
    session: Session, user: Any, state: State, key: Any, wanted: ColumnElement[Any]
) -> tuple[Any, Any]:
    """`wanted` of the rows before and after the row `key` in the list; None if there is none."""
    listing = state.listing
    column = listing.expression(state.sort.removeprefix("-"))
    found = session.scalar(listing.rows(user).with_only_columns(column).where(listing.key == key))
    value = None if found is None else literal(found, column.type)
    rows = matching(user, state).with_only_columns(wanted)
    before, after = (
        session.scalar(_beyond(rows, state, value, key, is_back).limit(1))
        for is_back in (True, False)
    )
    return before, after


def after(rows: Select[Any], state: State, text: str | None, key: Any) -> Select[Any]:
    """The `rows` that follow the one with that sorted value, as PostgreSQL's text, and key, in the list's order."""
    value = None if text is None else literal(text, _Untyped())
    return _beyond(rows, state, value, key, is_back=False)


def _beyond(
    rows: Select[Any], state: State, value: ColumnElement[Any] | None, key: Any, is_back: bool
) -> Select[Any]:
    """The rows of the list after the one with `value` and `key`, or before it; nearest first."""
    column = state.listing.expression(state.sort.removeprefix("-"))
    own_key = state.listing.key
    down = state.sort.startswith("-") is not is_back
    beyond = lt if down else gt
    by_key = own_key.desc() if down else own_key.asc()
    turned = column.desc() if down else column.asc()
    if not may_lack(rows, column):
        row = tuple_(column, own_key)
        here = tuple_(value, literal(key, own_key.type))
        return rows.where(beyond(row, here)).order_by(turned, by_key)
    if value is None:
        after: ColumnElement[bool] = column.is_(None) & beyond(own_key, key)
        if is_back:
            after = after | column.is_not(None)
    else:
        after = beyond(column, value) | ((column == value) & beyond(own_key, key))
        if not is_back:
            after = after | column.is_(None)
    nulls = turned.nulls_first() if is_back else turned.nulls_last()
    return rows.where(after).order_by(nulls, by_key)


class _Explained(Executable, ClauseElement):
    """EXPLAIN of a statement, as JSON."""

    inherit_cache = True
    _traverse_internals: Any = (("statement", InternalTraversal.dp_clauseelement),)
    _all_selected_columns = ()

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(_Explained)
def _compile_explained(element: _Explained, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"
