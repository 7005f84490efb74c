"""Running figures (balances) are continued from the last stored row before the first place that changed.

The expected value of such a row depends only on the rows before it. So a save reads and writes only the rows from the
changed place on, however long the owner's history is; verify, heal and rebuild always start from the beginning.
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
    select,
    true,
)

from .declaration import Figure, rows_of
from .expressions import replace


@cache
def places_given(figure: Figure, *, of_one: bool) -> Subquery:
    """owner, place: where each owner's rows are continued from, given by the statement's parameters.

    `place` of the `owner`, or `places` of the `owners`, each as text; the first place of each owner counts.
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
    """owner, place: from an array of owners and one of places, as text; the first place of each owner."""
    given = func.unnest(owners, places).table_valued("owner", "place").render_derived(name="given")
    first = func.min(cast(given.c.place, along(figure).type)).label("place")
    owner = cast(given.c.owner, BigInteger).label("owner")
    return select(owner, first).group_by(given.c.owner).subquery("places")


@dataclass(frozen=True)
class Beginning:
    """Where the computation of a figure's rows begins: at `places`."""

    figure: Figure
    target: FromClause
    """Its table, from which the last row before is taken."""
    places: Subquery

    def later(
        self, rows: FromClause, owner: ColumnElement[Any], at: ColumnElement[Any]
    ) -> Select[Any]:
        """The rows, given with their owner and place, that are computed or compared.

        One owner at a time (OFFSET forces the planner to it): for a place unknown at planning time it estimates that a
        third of all rows are later, and would read the whole history of every owner.
        """
        mine = select(*rows.c).where(owner == self.places.c.owner, at >= self.places.c.place)
        later = mine.offset(literal_column("0")).lateral()
        return select(*later.c).select_from(self.places.join(later, true()))

    def last(self) -> Subquery:
        """Each owner's last row before the place where its computation begins, as the target's columns."""
        at, key = self.target.c[along(self.figure).key], self.target.c[self.figure.primary_key.key]
        owner = self.target.c[self.figure.owner.key]
        before = (
            select(*self.target.c)
            .where(owner == self.places.c.owner, at < self.places.c.place)
            .order_by(at.desc(), key.desc())
            .limit(1)
            .lateral("before")
        )
        return select(*before.c).select_from(self.places.join(before, true())).subquery("last")

    def rows(self, read_by: Callable[[Table], FromClause]) -> Select[Any]:
        """The figure's SELECT over the `later` rows of the given relations and the `last` row before them."""

        def relation(table: Table) -> FromClause:
            rows = read_by(table)
            if table not in self.figure.since:
                return rows
            at = replace(self.figure.since[table], lambda part: rows.c[part.key])
            owner = rows.c[self.figure.source_of(table).owner.key]
            return self.later(rows, owner, at).subquery()

        return rows_of(self.figure, relation, self.last())

    def stored(self, rows: FromClause) -> Subquery:
        """The target's stored rows that are `later`."""
        owner, at = rows.c[self.figure.owner.key], rows.c[along(self.figure).key]
        return self.later(rows, owner, at).subquery()


def place_of(figure: Figure, table: Table, rows: Any) -> ColumnElement[Any]:
    """The first place in a group of a source's rows, as text; NULL where a row has no place."""
    at = replace(figure.places[table], lambda part: rows.c[part.key])
    return as_text(case((func.bool_and(at.is_not(None)), func.min(at))))


def as_text(place: ColumnElement[Any]) -> ColumnElement[Any]:
    """A place as JSON formats it, which does not depend on the session's DateStyle."""
    return func.to_jsonb(place).op("#>>")(literal_column("'{}'"))


def along(figure: Figure) -> Column[Any]:
    """The column that orders its rows."""
    assert figure.along is not None
    return figure.along
