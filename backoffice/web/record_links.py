"""What people call the rows of figures, and where they are shown: each domain says it of its own tables.

Drift, runs and reconciliations know a row by its figure, its owner and its key. Names no domain;
imported by domains.
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
"""Of an owner's id and a key (JSON, values as text): the row's name, as an expression of PostgreSQL."""


@dataclass(frozen=True)
class Place:
    """One row of a figure: whose it is, its key, and what it is called; no name: it is gone."""

    owner: int
    key: Mapping[str, Any]
    name: str


@dataclass(frozen=True)
class Subject:
    """The rows of one table (by its name): what they are called, and where they are shown.

    `record` is the address of a row, `calculation` that of how the figure in one of its columns was
    calculated. `named` finds the owner whose rows a person means by a text.
    """

    table: str
    name: Name
    record: Callable[[Place], str]
    calculation: Callable[[Place, str], str]
    named: Callable[[str], Select[Any]] | None = None


@dataclass(frozen=True)
class Word:
    """What a run calls its items of that name, rows of no figure: its title, and of which table they are.

    `labels` are what the values before and after are called.
    """

    name: str
    title: str
    table: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def names() -> Iterator[str]:
    """Whatever an item may be of: the figures, and the words of kinds of runs."""
    yield from (figure.name for figure in registry.figures)
    yield from declared().words


def title_of(figure: str) -> str:
    """What a figure is called, to be translated; its name where nothing declares it any more."""
    if figure in declared().words:
        return declared().words[figure].title
    found = _figure(figure)
    return figure if found is None else found.title


def titles_of_bundle(bundle: str) -> list[str]:
    """What the figures are called that are recomputed together, to be translated; the name of a bundle that is gone."""
    figures = [figure for one in registry.bundles if one.name == bundle for figure in one.figures]
    return [figure.title for figure in figures] or [title_of(bundle)]


def label_of(figure: str, column: str) -> str:
    """What a column of a figure's table is called, to be translated."""
    if figure in declared().words:
        return declared().words[figure].labels.get(column, column)
    found = _figure(figure)
    if found is None or column not in found.table.c:
        return column
    held = found.table.c[column]
    is_all = found.columns == (held,) and "label" not in held.info
    return found.title if is_all else label_of_column(held)


def labels_of(figure: str) -> Mapping[str, str]:
    """Column → what it is called, to be translated, of every value that an item of that name may hold."""
    if figure in declared().words:
        return declared().words[figure].labels
    found = _figure(figure)
    return {c.key: label_of(figure, c.key) for c in found.columns} if found else {}


def name_in_sql(
    figure: ColumnElement[str], owner: ColumnElement[int], key: ColumnElement[Any]
) -> ColumnElement[str]:
    """What the row is called, for a SELECT; NULL where it is gone or nobody says."""
    called = [
        (figure.in_(_names_in(table)), subject.name(owner, key))
        for table, subject in declared().subjects.items()
    ]
    return case(*called, else_=cast(null(), String))


def name_of_one_in_sql(
    figure: str, owner: ColumnElement[int], key: ColumnElement[Any]
) -> ColumnElement[str]:
    """The same where all rows are of one figure: only the table of its rows is asked."""
    found = (s for table, s in declared().subjects.items() if figure in _names_in(table))
    subject = next(found, None)
    return cast(null(), String) if subject is None else subject.name(owner, key)


def _names_in(table: str) -> list[str]:
    """What items may be of whose rows stand in `table`."""
    of_figures = [figure.name for figure in registry.figures if figure.table.name == table]
    return of_figures + [name for name, word in declared().words.items() if word.table == table]


def numbered_in_sql(
    figure: ColumnElement[str], owner: ColumnElement[int], key: ColumnElement[Any]
) -> ColumnElement[str]:
    """The same, with the owner's number where there is no name."""
    return func.coalesce(name_in_sql(figure, owner, key), func.concat("#", cast(owner, String)))


def called(
    connection: Connection, rows: Iterable[tuple[str, int | None, Mapping[str, Any]]]
) -> list[str | None]:
    """What each of these rows (figure, owner, key) is called, by one statement; None as for `name_in_sql`."""
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
    """Where the row is shown; None of one that is gone or that no domain shows."""
    subject = _of(figure)
    return (subject.record(place) or None) if subject and place.name else None


def calculation_url(figure: str, place: Place, column: str) -> str | None:
    """Where it is shown how the figure was calculated; None as for `record_url`."""
    subject = _of(figure)
    return (subject.calculation(place, column) or None) if subject and place.name else None


def owners_named(figure: str, text: str) -> Select[Any] | None:
    """The ids of the owners that a person means by `text`, for a SELECT; None where nobody can say."""
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
