"""Names and addresses of the rows of figures: each domain declares those of its own tables.

Drift, runs and reconciliations identify a row by its figure, its owner and its key. Names no domain; imported by
domains.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Text,
    case,
    cast,
    func,
    literal,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from ..app.domain import declared
from ..figures import Figure, UnknownFigure, registry
from ..figures.showing.terms import label_of as label_of_column

Name = Callable[[ColumnElement[int], ColumnElement[Any]], ColumnElement[Any]]
"""From an owner's id and a key (JSON, values as text): the row's name, as an SQL expression."""


@dataclass(frozen=True)
class Place:
    """One row of a figure: its owner, its key, and its name; an empty name: it is deleted."""

    owner: int
    key: Mapping[str, Any]
    name: str


@dataclass(frozen=True)
class Subject:
    """The rows of one table (by its name): their names, and where they are shown.

    `record` returns the address of a row, `calculation` that of how the figure in one of its columns was calculated.
    `named` selects the owners that match a text typed by a user.
    """

    table: str
    name: Name
    record: Callable[[Place], str]
    calculation: Callable[[Place, str], str]
    named: Callable[[str], Select[Any]] | None = None


@dataclass(frozen=True)
class Word:
    """The name of a run's items that are rows of no figure: its title, and the table they belong to.

    `labels` are the titles of the values before and after.
    """

    name: str
    title: str
    table: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def names() -> Iterator[str]:
    """All names of items: the figures, and the words of kinds of runs."""
    yield from (figure.name for figure in registry.figures)
    yield from declared().words


def title_of(figure: str) -> str:
    """The title of a figure, to be translated; its name if it is no longer declared."""
    if figure in declared().words:
        return declared().words[figure].title
    found = _figure(figure)
    return figure if found is None else found.title


def titles_of_bundle(bundle: str) -> list[str]:
    """The titles, to be translated, of the figures recomputed together; the bundle's name if it is gone."""
    figures = [figure for one in registry.bundles if one.name == bundle for figure in one.figures]
    return [figure.title for figure in figures] or [title_of(bundle)]


def label_of(figure: str, column: str) -> str:
    """The label of a column of a figure's table, to be translated."""
    if figure in declared().words:
        return declared().words[figure].labels.get(column, column)
    found = _figure(figure)
    if found is None or column not in found.table.c:
        return column
    held = found.table.c[column]
    is_all = found.columns == (held,) and "label" not in held.info
    return found.title if is_all else label_of_column(held)


def labels_of(figure: str) -> Mapping[str, str]:
    """Column → its label, to be translated, for every value that an item of that name may hold."""
    if figure in declared().words:
        return declared().words[figure].labels
    found = _figure(figure)
    return {c.key: label_of(figure, c.key) for c in found.columns} if found else {}


def name_in_sql(
    figure: ColumnElement[str], owner: ColumnElement[int], key: ColumnElement[Any]
) -> ColumnElement[str]:
    """The row's name, for a SELECT; NULL if it is deleted or no domain names it."""
    called = [
        (figure.in_(_names_in(table)), subject.name(owner, key))
        for table, subject in declared().subjects.items()
    ]
    return case(*called, else_=cast(null(), String))


def name_of_one_in_sql(
    figure: str, owner: ColumnElement[int], key: ColumnElement[Any]
) -> ColumnElement[str]:
    """The same if all rows are of one figure: only the table of its rows is read."""
    found = (s for table, s in declared().subjects.items() if figure in _names_in(table))
    subject = next(found, None)
    return cast(null(), String) if subject is None else subject.name(owner, key)


def _names_in(table: str) -> list[str]:
    """The names of items with rows in `table`."""
    of_figures = [figure.name for figure in registry.figures if figure.table.name == table]
    return of_figures + [name for name, word in declared().words.items() if word.table == table]


def numbered_in_sql(
    figure: ColumnElement[str], owner: ColumnElement[int], key: ColumnElement[Any]
) -> ColumnElement[str]:
    """The same, with the owner's number if there is no name."""
    return func.coalesce(name_in_sql(figure, owner, key), func.concat("#", cast(owner, String)))


def called(
    connection: Connection, rows: Iterable[tuple[str, int | None, Mapping[str, Any]]]
) -> list[str | None]:
    """The name of each of these rows (figure, owner, key), by one statement; None as for `name_in_sql`."""
    asked = [
        {"place": place, "figure": figure, "owner": owner, "key": key}
        for place, (figure, owner, key) in enumerate(rows)
    ]
    if not asked:
        return []
    given = func.jsonb_to_recordset(literal(json.dumps(asked, default=str), Text).cast(JSONB))
    row = given.table_valued(
        Column("place", Integer),
        Column("figure", Text),
        Column("owner", BigInteger),
        Column("key", JSONB),
    ).render_derived(with_types=True)
    name = name_in_sql(row.c.figure, row.c.owner, row.c.key)
    return list(connection.scalars(select(name).order_by(row.c.place)))


def record_url(figure: str, place: Place) -> str | None:
    """The address of the row; None if it is deleted or no domain shows it."""
    subject = _of(figure)
    return (subject.record(place) or None) if subject and place.name else None


def calculation_url(figure: str, place: Place, column: str) -> str | None:
    """The address of how the figure was calculated; None as for `record_url`."""
    subject = _of(figure)
    return (subject.calculation(place, column) or None) if subject and place.name else None


def owners_named(figure: str, text: str) -> Select[Any] | None:
    """The ids of the owners that match `text`, for a SELECT; None if no domain declares the match."""
    subject = _of(figure)
    return subject.named(text) if subject and subject.named else None


def _of(figure: str) -> Subject | None:
    known, word = declared(), declared().words.get(figure)
    if word is not None:
        return known.subjects.get(word.table)
    found = _figure(figure)
    return None if found is None else known.subjects.get(found.table.name)


def _figure(name: str) -> Figure | None:
    try:
        return registry.get(name)
    except UnknownFigure:
        return None
