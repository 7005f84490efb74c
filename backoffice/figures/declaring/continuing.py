"""Rows that run (balances) are continued from the last stored row before the first place that changed.

What is expected of such a row depends on what stands before it alone. So whatever an owner's history, a save reads and
writes what comes from there on; verify, heal and rebuild begin at the beginning all the same.

A row that was closed is a fact, and what stands before it too: what comes after is continued from it, by whomever.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Table,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    select,
    true,
    union_all,
)

from .declaration import Figure, rows_of
from .expressions import replace


@cache
def places_given(figure: Figure, *, of_one: bool) -> Subquery:
    """owner, place: from where on each owner's rows are continued, as the statement's parameters say.

    `place` of the `owner`, or `places` of the `owners`, each as text, of which the first of each owner counts.
    """
    if of_one:
        owner = cast(bindparam("owner", type_=BigInteger), BigInteger).label("owner")
        place = cast(bindparam("place", type_=Text), along(figure).type).label("place")
        return select(owner, place).subquery("places")
    return first_places(
        figure,
        bindparam("owners", type_=ARRAY(BigInteger)),
        bindparam("places", type_=ARRAY(Text)),
    )


def first_places(figure: Figure, owners: Any, places: Any) -> Subquery:
    """owner, place: of arrays that name owners and, as text, a place of each, the first of every owner."""
    given = func.unnest(owners, places).table_valued("owner", "place").render_derived(name="given")
    first = func.min(cast(given.c.place, along(figure).type)).label("place")
    owner = cast(given.c.owner, BigInteger).label("owner")
    return select(owner, first).group_by(given.c.owner).subquery("places")


@dataclass(frozen=True)
class Beginning:
    """From where on a figure's rows are computed: from `places` on, after each owner's last `closed` row, or both."""

    figure: Figure
    target: FromClause
    """Its table, from which the last row before is taken."""
    places: Subquery | None = None
    closed: Subquery | None = None

    def later(
        self, rows: FromClause, owner: ColumnElement[Any], at: ColumnElement[Any]
    ) -> Select[Any]:
        """Of some rows, with their owner and where they stand, those that are computed or compared.

        Owner by owner (OFFSET keeps the planner to it): of a place that is not known yet it believes that a third of
        all rows stand later, and would read the whole history of everybody.
        """
        found = select(*rows.c)
        closed = self.closed
        if closed is not None:
            found = found.select_from(rows.outerjoin(closed, closed.c.owner == owner))
            found = found.where((at > closed.c.place) | closed.c.place.is_(None))
        if self.places is None:
            return found
        mine = found.where(owner == self.places.c.owner, at >= self.places.c.place)
        later = mine.offset(literal_column("0")).lateral()
        return select(*later.c).select_from(self.places.join(later, true()))

    def last(self) -> Subquery:
        """Of each owner the last row before, as the target's columns."""
        at, key = self.target.c[along(self.figure).key], self.target.c[self.figure.primary_key.key]
        places = self.places if self.places is not None else self.closed
        assert places is not None
        origin: Any = places
        if self.places is None:
            is_before = at <= places.c.place
        elif self.closed is None:
            is_before = at < places.c.place
        else:
            origin = places.outerjoin(self.closed, self.closed.c.owner == places.c.owner)
            is_before = (at < places.c.place) | (at <= self.closed.c.place)
        before = (
            select(*self.target.c)
            .where(self.target.c[self.figure.owner.key] == places.c.owner, is_before)
            .order_by(at.desc(), key.desc())
            .limit(1)
            .lateral("before")
        )
        return select(*before.c).select_from(origin.join(before, true())).subquery("last")

    def rows(self, read_by: Callable[[Table], FromClause]) -> Select[Any]:
        """The figure's SELECT over what stands there or later, of relations that are given, and the last row before."""

        def relation(table: Table) -> FromClause:
            rows = read_by(table)
            if table not in self.figure.since:
                return rows
            at = replace(self.figure.since[table], lambda part: rows.c[part.key])
            owner = rows.c[self.figure.source_of(table).owner.key]
            return self.later(rows, owner, at).subquery()

        return rows_of(self.figure, relation, self.last())

    def stored(self, rows: FromClause) -> Subquery:
        """Of the target's rows those that stand there or later."""
        owner, at = rows.c[self.figure.owner.key], rows.c[along(self.figure).key]
        return self.later(rows, owner, at).subquery()


def last_closed(figure: Figure, stored: FromClause) -> Subquery | None:
    """owner, place: of the stored rows each owner's last closed one; None where rows are never closed."""
    if figure.closed is None:
        return None
    is_closed = replace(figure.closed, lambda part: stored.c[part.key])
    owner, at = stored.c[figure.owner.key], stored.c[along(figure).key]
    place = func.max(at).label("place")
    return select(owner.label("owner"), place).where(is_closed).group_by(owner).subquery("closed")


def with_closed(
    rows: Select[Any], figure: Figure, stored: FromClause, closed: Subquery
) -> Select[Any]:
    """The expected rows after the last closed one and, as they are stored, the closed ones and those before them."""
    columns = [(str(c.key), c.type) for c in rows.selected_columns]
    facts = (
        (stored.c[name] if name in stored.c else cast(null(), kind)).label(name)
        for name, kind in columns
    )
    at = stored.c[along(figure).key]
    places = closed.c.owner == stored.c[figure.owner.key]
    before = select(*facts).join_from(stored, closed, places).where(at <= closed.c.place)
    return select(union_all(rows, before).subquery())


def place_of(figure: Figure, table: Table, rows: Any) -> ColumnElement[Any]:
    """Of grouped rows of a source the first place, as text; none where a row stands nowhere."""
    at = replace(figure.places[table], lambda part: rows.c[part.key])
    return as_text(case((func.bool_and(at.is_not(None)), func.min(at))))


def as_text(place: ColumnElement[Any]) -> ColumnElement[Any]:
    """A place as JSON tells it: what it says does not depend on anybody's DateStyle."""
    return func.to_jsonb(place).op("#>>")(literal_column("'{}'"))


def along(figure: Figure) -> Column[Any]:
    """The column along which its rows run."""
    assert figure.along is not None
    return figure.along
