"""Marks of values with open findings: in a page's cells, in its totals, at the end of exports.

Lists do not know findings: the domain that stores them declares in SQL which stored column of which row has one.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Join,
    Table,
    and_,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.visitors import iterate

from ..app.domain import declared
from .declaration import Column, List, Row
from .joins import froms_of
from .state import State


@dataclass(frozen=True)
class Watched:
    """A stored value that a column shows or is computed from, with its figure.

    `finding` is the id of the open finding on it in a row, else NULL. `may_be_wrong` is true for every row with a
    finding, and is answered by an index.
    """

    figure: str
    finding: ColumnElement[int]
    may_be_wrong: ColumnElement[bool]


class Findings(Protocol):
    """The interface by which lists read open findings on stored rows."""

    def is_any_open(self, session: Session | Connection, figures: Collection[str]) -> bool:
        """Whether any finding of these figures is open."""

    def of_row(self, table: Table, column: str) -> Sequence[Watched]:
        """A stored column in the rows of its table; empty if it is not verified."""

    def of_owners(self, figure: str, owners: Any) -> Watched:
        """A figure of the `owners` (a SELECT of ids) that belong to a row."""

    def address(self, finding: int) -> str | None:
        """The address of a finding, for users who may see it."""

    def address_of(self, figures: Collection[str]) -> str | None:
        """The address of the list of findings of these figures, for users who may see them."""


@dataclass(frozen=True)
class Mark:
    """A mark that a value is known to be wrong, with the address of its finding if the user may open it."""

    href: str | None


@dataclass(frozen=True)
class Marked:
    """The marks of a page: its cells by key and column, and `whole` columns by column over all rows that match."""

    cells: Mapping[tuple[Any, str], Mark] = field(default_factory=dict)
    whole: Mapping[str, Mark] = field(default_factory=dict)


def marked(
    session: Session | Connection,
    user: Any,
    state: State,
    columns: Sequence[Column],
    rows: Sequence[Row] = (),
    *,
    whole: Sequence[Column],
) -> Marked:
    """The marks of these columns of these rows, and of the `whole` columns over all rows that match.

    One statement if there is no open finding, else at most three, however many rows there are.
    """
    known = declared().findings
    if known is None:
        return Marked()
    rows_of = state.listing.rows(user).with_only_columns(state.listing.key)
    read = set(_tables_of(froms_of(rows_of)))
    shown = {c.name: found for c in columns if (found := _watched(known, c, read))}
    names = {one.figure for found in shown.values() for one in found}
    if not names or not known.is_any_open(session, names):
        return Marked()
    asked = {c.name: shown[c.name] for c in whole if c.name in shown}
    return Marked(
        _of_cells(known, session, user, state.listing, shown, rows) if rows else {},
        _of_all(known, session, user, state, asked) if asked else {},
    )


def _watched(findings: Findings, column: Column, read: Collection[Table]) -> list[Watched]:
    """The verified values that a column shows or is computed from, among the tables that are read."""
    named = [findings.of_owners(figure, owners) for figure, owners in column.stands_on.items()]
    stored: dict[tuple[Table, str], None] = {}
    value = getattr(column.value, "expression", column.value)
    parts: Iterable[Any] = iterate(value) if column.is_number else (value,)
    for part in parts:
        table = getattr(part, "table", None)
        if isinstance(table, Table) and table in read and part.key in table.c:
            stored[table, part.key] = None
    return [*named, *(one for table, name in stored for one in findings.of_row(table, name))]


def _tables_of(froms: Sequence[FromClause]) -> Iterator[Table]:
    for source in froms:
        if isinstance(source, Join):
            yield from _tables_of((source.left, source.right))
        elif isinstance(source, Table):
            yield source


Watching = Mapping[str, Sequence[Watched]]


def _of_cells(
    known: Findings,
    session: Session | Connection,
    user: Any,
    listing: List,
    shown: Watching,
    rows: Sequence[Row],
) -> dict[tuple[Any, str], Mark]:
    found = {
        name: func.coalesce(*(one.finding for one in watched))
        if len(watched) > 1
        else watched[0].finding
        for name, watched in shown.items()
    }
    wanted = (
        listing.rows(user)
        .with_only_columns(listing.key.label("key"), *(f.label(name) for name, f in found.items()))
        .where(listing.key.in_([row.key for row in rows]))
    )
    return {
        (row.key, name): Mark(known.address(getattr(row, name)))
        for row in session.execute(wanted)
        for name in shown
        if getattr(row, name) is not None
    }


def _of_all(
    known: Findings, session: Session | Connection, user: Any, state: State, asked: Watching
) -> dict[str, Mark]:
    matching = state.listing.rows(user).where(*state.conditions)

    def is_in(watched: Sequence[Watched]) -> ColumnElement[bool]:
        wrong = or_(*(and_(one.may_be_wrong, one.finding.is_not(None)) for one in watched))
        return matching.with_only_columns(state.listing.key).where(wrong).exists()

    row = session.execute(
        select(*(is_in(watched).label(name) for name, watched in asked.items()))
    ).one()
    return {
        name: Mark(known.address_of({one.figure for one in watched}))
        for name, watched in asked.items()
        if getattr(row, name)
    }
