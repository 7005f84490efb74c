"""The live preview: the definitions over unsaved rows; nothing is written, no lock is taken.

The unsaved rows enter as one JSON document per table through `jsonb_to_recordset`, so that the
statement is built once per set of figures and a preview costs one round trip.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    FromClause,
    Integer,
    Numeric,
    Table,
    Text,
    bindparam,
    cast,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from ..computing.registry import Registry
from ..computing.relations import OWNERS, Relations
from ..computing.statements import Statement, changes
from ..declaring.declaration import Figure

Rows = Mapping[Any, Sequence[Mapping[str, Any]]]
Values = dict[Table, dict[Any, dict[str, Any]]]

LAST = 2**62
"""Unsaved rows are numbered from here on, so that any order by number puts them after the stored ones."""


class Preview:
    """The figures of unsaved rows, by table and primary key; derived rows by their figure's key."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def row(self, model: Any, key: Any) -> dict[str, Any]:
        """The figure columns of one row; empty when it has none."""
        return self._values.get(model.__table__, {}).get(key, {})

    def rows(self, model: Any) -> dict[Any, dict[str, Any]]:
        """The figure columns of every previewed row of a table, by its key."""
        return self._values.get(model.__table__, {})


def preview(
    connection: Connection,
    registry: Registry,
    figures: Sequence[Figure],
    rows: Rows,
    owners: Sequence[int] = (),
) -> Preview:
    """What `figures` would be if `rows` were stored instead of their owners' present rows.

    `rows` maps a model to dicts of column → value with the primary key; unsaved rows take −1, −2, … (or none, and
    are returned under those numbers), and come in that order after all that are stored. A column that is left out
    is NULL, or zero where a figure keeps it. Tables that are not given are read as stored, for `owners`; figures
    between those asked for and the given rows are computed too. Of a table that is given,
    give every row of the owners of the figures asked for. Only the figure that derives rows returns those that would be
    added or removed.
    """
    tables = tuple(model.__table__ for model in rows)
    statement = _statement(registry, tuple(figures), tables)
    documents = {
        f"rows_{model.__table__.name}": json.dumps(
            [_complete(registry, model.__table__, row) for row in _with_numbers(model, given)],
            default=_plain,
        )
        for model, given in rows.items()
    }
    result = statement.run(connection, owners=[*map(_number, owners)], **documents).one()
    values: Values = {}
    for figure, found in zip(figures, result, strict=True):
        by_key = values.setdefault(figure.table, {})
        for texts in json.loads(found or "[]"):
            columns = (*figure.key, *figure.columns)
            typed = [_typed(c, t) for c, t in zip(columns, texts, strict=True)]
            key, amounts = typed[: len(figure.key)], typed[len(figure.key) :]
            row = by_key.setdefault(key[0] if len(key) == 1 else tuple(key), {})
            row.update(zip((c.key for c in figure.columns), amounts, strict=True))
    return Preview(values)


@lru_cache(maxsize=256)
def _statement(
    registry: Registry, figures: tuple[Figure, ...], tables: tuple[Table, ...]
) -> Statement:
    """One row: per figure a JSON array of [key, …, column, …] with every value as text."""
    overlay = {table: _recordset(table) for table in tables}
    relations = Relations(registry, _beneath(registry, figures, tables), overlay)
    columns = []
    for figure in figures:
        seen = relations
        if not figure.derived_rows:  # only rows that would exist
            seen = relations.with_derived_rows(figure.table, OWNERS, figure.owner)
        rows = changes(seen, figure.table, (figure,), OWNERS, all_rows=True).subquery()
        names = [f"k{i}" for i in range(len(figure.key))]
        names += [f"e{i}" for i in range(len(figure.columns))]
        document = func.jsonb_build_array(*(cast(rows.c[n], Text) for n in names))
        expected = select(cast(func.jsonb_agg(document), Text)).where(
            ~rows.c.surplus, *(rows.c[f"k{i}"].is_not(None) for i in range(len(figure.key)))
        )
        columns.append(expected.scalar_subquery())
    return Statement(select(*columns))


def _beneath(
    registry: Registry, figures: tuple[Figure, ...], tables: tuple[Table, ...]
) -> frozenset[Figure]:
    """The figures to compute: those asked for, and those beneath them that read the unsaved rows."""
    unsaved: set[Figure] = set()
    for figure in registry.figures:  # each after those that it builds on
        if registry.depends_on(figure) & unsaved or {s.table for s in figure.sources} & set(tables):
            unsaved.add(figure)
    found, waiting = set(figures), list(figures)
    while waiting:
        figure = waiting.pop()
        derives = registry.deriving(figure.table)
        mine = registry.depends_on(figure) | ({derives} if derives is not None else set())
        lower = mine & unsaved - found
        found |= lower
        waiting += lower
    return frozenset(found)


def _recordset(table: Table) -> FromClause:
    document = cast(bindparam(f"rows_{table.name}", type_=Text), JSONB)
    columns = (c._copy() for c in table.c)
    return (
        func.jsonb_to_recordset(document)
        .table_valued(*columns, name=f"given_{table.name}")
        .render_derived(with_types=True)
    )


def _with_numbers(model: Any, rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The rows; those without a number get the next free one."""
    key, *others = (column.key for column in model.__table__.primary_key)
    known = {row.get(key) for row in rows}
    free = (number for number in count(-1, -1) if number not in known)
    for row in rows:
        yield row if others or row.get(key) is not None else {**row, key: next(free)}


def _number(given: int) -> int:
    """The number of a row; for an unsaved one, a number after all stored rows."""
    return given if given >= 0 else LAST - given


def _complete(registry: Registry, table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    amounts = (c for c in table.c if isinstance(c.type, Numeric | Integer))
    zeros = {c.key: "0" for c in amounts if registry.keeper(c) is not None}
    numbers = {c.key for c in table.c if c.primary_key or c.foreign_keys}
    return {
        **zeros,
        **{
            name: _number(value) if name in numbers and isinstance(value, int) else _exact(value)
            for name, value in row.items()
        },
    }


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a float, which cannot hold money; give a Decimal.")
    return value


def _plain(value: Any) -> str:
    if isinstance(value, date | datetime) or (isinstance(value, Decimal) and value.is_finite()):
        return str(value)
    raise TypeError(f"{value!r} cannot be previewed.")


def _whole(text: str) -> int:
    """An integer; an unsaved row's number as it was given."""
    number = int(text)
    return number if number < LAST else LAST - number


_READ: dict[type, Callable[[str], Any]] = {
    int: _whole,
    Decimal: Decimal,
    bool: "true".__eq__,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    object: json.loads,  # a column of JSON
}


def _typed(column: Column[Any], text: str | None) -> Any:
    return None if text is None else _READ.get(column.type.python_type, str)(text)
