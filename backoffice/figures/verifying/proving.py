"""Tests declarations on a book: what is expected of an owner alone must equal what is expected of it among all.

A save computes one owner, a verification all of them. A definition with a result for an owner that depends on
other owners would be written by the one and undone by the other, for ever. Running rows are computed from the beginning
and continued from a place on: both must give the same result. Both can be tested on any book; and a statement that
PostgreSQL cannot compute is reported here, not at a user's first save. Tests and `backoffice figures prove` run it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    CompoundSelect,
    Connection,
    Float,
    FromClause,
    Select,
    Table,
    and_,
    bindparam,
    func,
    literal,
    select,
    union,
    union_all,
)
from sqlalchemy.exc import DBAPIError

from ..computing.registry import Registry
from ..computing.relations import EVERYTHING, ONE_OWNER, OWNERS, Relations, Scope
from ..computing.statements import Statement, changes, changes_since, expanded
from ..declaring.continuing import Beginning, along, as_text, places_given
from ..declaring.declaration import Figure, rows_of
from ..declaring.expressions import replace
from ..keeping import hooks
from ..keeping.recomputing import WHY, recompute

SAMPLE = 3
"""How many of the oldest, and of the newest, owners of a figure are tested."""

NO_OWNER = 0
"""An id that no owner has: a statement about it reads no row, but PostgreSQL has parsed and planned it."""

ALONE, AMONG_ALL, TWICE = range(3)


@dataclass(frozen=True)
class Disproof:
    """Why a figure's declaration cannot be kept."""

    figure: Figure
    problem: str

    def __str__(self) -> str:
        return f"{self.figure.name}: {self.problem}"


def disproofs(
    connection: Connection,
    registry: Registry,
    figures: Iterable[Figure] | None = None,
    *,
    sample: int | None = SAMPLE,
) -> Iterator[Disproof]:
    """Test the declarations of `figures` (default all) on a few owners (`sample` None: on all); writes nothing."""
    wanted = frozenset(registry.figures if figures is None else figures)
    for figure in (f for f in registry.figures if f in wanted):
        point = connection.begin_nested()
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        try:
            with hooks.held(connection):
                found = _disproof(connection, registry, figure, sample)
        finally:
            point.rollback()
        if found is not None:
            yield found


def _disproof(
    connection: Connection, registry: Registry, figure: Figure, sample: int | None
) -> Disproof | None:
    try:
        bundle = registry.bundle_of(figure)
        writing = recompute(registry, bundle, ONE_OWNER, correct=True, by_facts=True)
        writing.prepare(connection, owner=NO_OWNER, **dict.fromkeys(WHY))
        owners = connection.scalars(_some_owners(figure, sample)).all()
        for owner in (NO_OWNER, *owners):
            rows = differing(registry, figure).run(connection, owner=owner).mappings().all()
            if rows:
                return Disproof(figure, _sentence(figure, owner, {r["place"]: r for r in rows}))
        if figure.along is not None:
            return _disproof_of_places(connection, registry, figure, owners)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        said = str(error.orig).strip().splitlines()[0]
        return Disproof(figure, f"PostgreSQL cannot compute it: {said}. Mend its definition.")
    return None


def _disproof_of_places(
    connection: Connection, registry: Registry, figure: Figure, owners: Sequence[int]
) -> Disproof | None:
    """Continue all these owners at once: from the first of their rows, from one in the middle, and from the last."""
    for quantile in (0.0, 0.5, 1.0):
        found = _places(registry, figure).run(connection, owners=[*owners], quantile=quantile).all()
        given = [(NO_OWNER, None), *found]
        rows = (
            differing_since(registry, figure)
            .run(connection, owners=[o for o, _ in given], places=[p for _, p in given])
            .mappings()
            .all()
        )
        if rows:
            reported = {r["place"]: r for r in rows}
            return Disproof(figure, _sentence_of_places(figure, reported))
        early = differing_before(registry, figure).run(
            connection, owners=[o for o, _ in found], places=[p for _, p in found]
        )
        if reported := {r["place"]: r for r in early.mappings()}:
            return Disproof(figure, _sentence_of_what_is_later(figure, reported))
    return None


def _some_owners(figure: Figure, sample: int | None) -> Select[Any] | CompoundSelect[Any]:
    """The oldest and the newest owners, so that a book is always tested in the same way; or all of them."""
    key = figure.owner_key
    if sample is None:
        return select(key).order_by(key)
    ends = (select(key).order_by(way).limit(sample).subquery() for way in (key, key.desc()))
    return union(*map(select, ends))


@cache
def differing(registry: Registry, figure: Figure) -> Statement:
    """One row each that is expected of `owner` alone and not among all, the other way round, and more than once.

    PostgreSQL itself restricts the whole to the owner, wherever it can prove that this changes nothing.
    """
    alone = _expected(registry, figure, ONE_OWNER).cte("alone")
    everyone = _expected(registry, figure, EVERYTHING).subquery()
    mine = everyone.c.owner == bindparam(
        "owner", type_=BigInteger
    )  # stated without the core's scopes
    whole = select(everyone).where(mine).cte("whole")
    key = [c for c in alone.c if not c.key.startswith("e")]
    counted = select(alone, func.count().over(partition_by=key).label("times")).subquery()
    more = select(*(counted.c[c.key] for c in alone.c)).where(counted.c.times > 1)
    return _one_each({**_apart(alone, whole), TWICE: more})


@cache
def _places(registry: Registry, figure: Figure) -> Statement:
    """owner, place (as text): the place at `quantile` of each of the `owners`' expected rows."""
    rows = _whole(registry, figure)
    at = func.percentile_disc(bindparam("quantile", type_=Float)).within_group(
        rows.c[along(figure).key]
    )
    owner = rows.c[figure.owner.key]
    return Statement(select(owner, as_text(at)).group_by(owner))


@cache
def differing_since(registry: Registry, figure: Figure) -> Statement:
    """One row each that is expected of `owners` continued from `places` but not from the beginning, and the reverse.

    The rows before the places are the expected ones, not the stored ones.
    """
    relations = Relations(registry, expanded(registry))
    places = places_given(figure, of_one=False)
    beneath = _whole(registry, figure)
    rows = changes_since(relations, figure, OWNERS, places, beneath, all_rows=True).subquery()
    names = _names(figure)
    later = select(*(rows.c[name] for name in names)).where(~rows.c.surplus).cte("alone")
    begins = Beginning(figure, beneath, places)
    mine = begins.stored(beneath)
    columns = (figure.owner, *figure.key, *figure.columns)
    named = (mine.c[c.key].label(name) for c, name in zip(columns, names, strict=True))
    whole = select(*named).cte("whole")
    return _one_each(_apart(later, whole))


@cache
def differing_before(registry: Registry, figure: Figure) -> Statement:
    """One row each, before its owner's place, that is expected only together with the later rows.

    And the reverse: a save of later rows would not rewrite it.
    """
    relations = Relations(registry, expanded(registry))
    places = places_given(figure, of_one=False)
    stored = relations.stored(figure.table)

    def whole(table: Table) -> FromClause:
        return relations.read_by(figure, table, OWNERS)

    def earlier(table: Table) -> FromClause:
        rows = whole(table)
        if table not in figure.places:
            return rows
        at = replace(figure.places[table], lambda part: rows.c[part.key])
        owner = rows.c[figure.source_of(table).owner.key]
        mine = (places.c.owner == owner) & (at < places.c.place)
        return select(*rows.c).join_from(rows, places, mine).subquery()

    def before(rows: Any) -> Select[Any]:
        columns = (figure.owner, *figure.key, *figure.columns)
        named = (rows.c[c.key].label(n) for c, n in zip(columns, _names(figure), strict=True))
        reported = select(*named).join_from(
            rows, places, places.c.owner == rows.c[figure.owner.key]
        )
        at = rows.c.get(along(figure).key)
        if at is None:  # the place of its rows is an entered fact
            same = [stored.c[k.key] == rows.c[k.key] for k in figure.key]
            reported, at = reported.join(stored, and_(*same)), stored.c[along(figure).key]
        return reported.where(at < places.c.place)

    alone, among = (before(rows_of(figure, of).subquery()).cte() for of in (earlier, whole))
    return _one_each(_apart(alone, among))


def _apart(alone: CTE, whole: CTE) -> dict[int, CompoundSelect[Any]]:
    """The rows that only one of the two has."""
    return {
        ALONE: select(alone).except_all(select(whole)),
        AMONG_ALL: select(whole).except_all(select(alone)),
    }


def _one_each(found: Mapping[int, Any]) -> Statement:
    """One row of each of these, with the number of the test that found it."""
    picked = (
        select(select(literal(place).label("place"), rows.subquery()).limit(1).subquery())
        for place, rows in found.items()
    )
    return Statement(union_all(*picked))


def _whole(registry: Registry, figure: Figure) -> FromClause:
    """The owners' rows in the figure's table, computed from the beginning."""
    relations = Relations(registry, expanded(registry))
    every = frozenset(figure.table.c.keys())
    return relations.source(figure.table, OWNERS, figure.owner, every)


def _names(figure: Figure) -> list[str]:
    names = ["owner", *(f"k{i}" for i in range(len(figure.key)))]
    return [*names, *(f"e{i}" for i in range(len(figure.columns)))]


def _expected(registry: Registry, figure: Figure, scope: Scope) -> Select[Any]:
    """The figure's expected rows in scope, down to the facts: owner, k* (the key), e* (the columns)."""
    relations = Relations(registry, expanded(registry))
    rows = changes(relations, figure.table, (figure,), scope, all_rows=True).subquery()
    return select(*(rows.c[name] for name in _names(figure))).where(~rows.c.surplus)


def _sentence(figure: Figure, owner: int, found: Mapping[int, Mapping[Any, Any]]) -> str:
    table = figure.owner_table.name
    if TWICE in found:
        return (
            f"of {table} {owner} it expects a row more than once ({_reported(figure, found[TWICE])}). "
            "Group its SELECT by the key, or join what it looks up by something unique."
        )
    alone, among = (_reported(figure, found.get(place)) for place in (ALONE, AMONG_ALL))
    return (
        f"of {table} {owner} alone it expects {alone}; among all {table}, {among}. It reads what belongs to other "
        f"owners: join, group and partition every source by the column that names the owner, lead to it by "
        f"reached_by=…, or make what is read of others a figure of theirs."
    )


def _sentence_of_places(figure: Figure, found: Mapping[int, Mapping[Any, Any]]) -> str:
    since, whole = (_reported(figure, found.get(place)) for place in (ALONE, AMONG_ALL))
    return (
        f"continued from a place along {along(figure)} it expects {since}; computed from the beginning, {whole}. "
        f"A row may depend on what stands before it alone: take what was carried from Last({figure.table.name}), "
        "joined by the owner, and say by looked_up=… what is read as a whole."
    )


def _sentence_of_what_is_later(figure: Figure, found: Mapping[int, Mapping[Any, Any]]) -> str:
    early, whole = (_reported(figure, found.get(place)) for place in (ALONE, AMONG_ALL))
    return (
        f"before a place along {along(figure)} it expects {early} of what stands before it; with what comes later, "
        f"{whole}. A row may depend on what stands before it alone, or a save of what is later leaves it wrong: order "
        f"what runs by {along(figure)} and look nothing up ahead, or declare it without along=…."
    )


def _reported(figure: Figure, row: Mapping[Any, Any] | None) -> str:
    if row is None:
        return "nothing"
    parts = {k.key: row[f"k{i}"] for i, k in enumerate(figure.key)}
    parts |= {c.key: row[f"e{i}"] for i, c in enumerate(figure.columns)}
    return ", ".join(f"{name} {value}" for name, value in parts.items())
