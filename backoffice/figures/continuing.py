"""Rows that run (balances) are continued from the last stored row before the first place that changed.

What is expected of such a row depends on what stands before it alone. So whatever an owner's history, a save reads and
writes what comes from there on; verify, heal and rebuild begin at the beginning all the same.
"""

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
from .relations import ONE_OWNER, Relations, Scope
from .statements import compared


@cache
def places_given(figure: Figure, scope: Scope) -> Subquery:
    """owner, place: from where on each owner's rows are continued, as the statement's parameters say.

    `place` of the `owner`, or `places` of the `owners`, each as text, of which the first of each owner counts.
    """
    if scope is ONE_OWNER:
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


def changes_since(
    relations: Relations,
    figure: Figure,
    scope: Scope,
    places: Subquery,
    beneath: FromClause | None = None,
    *,
    all_rows: bool = False,
) -> Select[Any]:
    """As `statements.changes`, of the rows from these places on, continued from what is stored before them.

    Or from what stands before them in `beneath`.
    """
    target = relations.stored(figure.table) if beneath is None else beneath
    expected = _rows_since(relations, figure, scope, places, target).subquery()
    stored = relations.stored(figure.table)
    mine = (places.c.owner == stored.c[figure.owner.key]) & (
        stored.c[along(figure).key] >= places.c.place
    )
    rows = select(*stored.c).join_from(stored, places, mine).subquery()
    return compared(figure, expected, rows, all_rows=all_rows)


def _rows_since(
    relations: Relations, figure: Figure, scope: Scope, places: Subquery, target: FromClause
) -> Select[Any]:
    """The SELECT of a figure over what stands at these places or later, and the last row before each."""

    def relation(table: Table) -> FromClause:
        rows = relations.read_by(figure, table, scope)
        if table not in figure.since:
            return rows
        at = replace(figure.since[table], lambda part: rows.c[part.key])
        owner = rows.c[figure.source_of(table).owner.key]
        mine = (places.c.owner == owner) & (at >= places.c.place)
        return select(*rows.c).join_from(rows, places, mine).subquery()

    return rows_of(figure, relation, _last_before(figure, places, target))


def _last_before(figure: Figure, places: Subquery, target: FromClause) -> Subquery:
    """Of each owner the last row before its place, as the target's columns."""
    at, key = target.c[along(figure).key], target.c[figure.primary_key.key]
    before = (
        select(*target.c)
        .where(target.c[figure.owner.key] == places.c.owner, at < places.c.place)
        .order_by(at.desc(), key.desc())
        .limit(1)
        .lateral("before")
    )
    return select(*before.c).select_from(places.join(before, true())).subquery("last")


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
