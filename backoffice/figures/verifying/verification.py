"""Verification: stored compared with expected values, over any scope, and the root of every difference.

A pass over the owners finds the few with an error; only those are examined row by
row. Each chunk of owners is compared in one read-only REPEATABLE READ snapshot.

What builds on a bundle that has just been compared over all its owners is compared with the stored values
of that bundle: where the lower row is right, its stored value is the expected one, and owners that build on a
wrong lower row are examined anyway. So facts are not read again for every figure above them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Engine, Table, bindparam, func, select

from ...database import statistics
from ...database.snapshots import snapshot
from ..computing.definitions import another, differing
from ..computing.dependencies import owners_above, trustworthy
from ..computing.registry import Bundle, Registry
from ..computing.relations import BETWEEN, OWNERS
from ..computing.statements import Statement, suspects
from ..declaring.declaration import Figure
from .findings import Finding, findings, orphans

CHUNK = 200_000
"""Owners compared in one statement; a million orders take about five."""

MANY = 10_000
"""With more wrong owners in a lower bundle than this, it is cheaper to compare what builds on it with the facts."""


def verify(
    engine: Engine,
    registry: Registry,
    figures: Sequence[Figure] | None = None,
    owners: Iterable[int] | None = None,
    *,
    chunk: int = CHUNK,
    progress: Any = None,
) -> Iterator[Finding]:
    """Every drifted figure row in scope, in dependency order, and rows without their owner's row; reads only.

    `figures` (default all) and `owners` (ids of the figures' owners; default all) give the scope;
    `progress(owners)` is called after each chunk with the number of its owners.
    Raises AnotherDefinition, after all others were verified, where the database keeps some by another definition.
    """
    wanted = frozenset(registry.figures if figures is None else figures)
    given = None if owners is None else sorted(set(owners))
    bundles = registry.bundles_of(wanted)
    if owners is None:
        statistics.refresh(engine)
    with engine.connect() as connection:
        others = differing(connection, registry)
        ours = [bundle for bundle in bundles if bundle.name not in others]
        there = with_rows(connection, ours) if owners is None else ours
    compared = {bundle: set[int]() for bundle in set(ours).difference(there)}
    for bundle in there:
        suspected: set[int] = set()
        for connection, ids in _chunks(engine, registry, bundle, given, chunk, progress, compared):
            suspected.update(ids)
            for finding in findings(connection, registry, bundle, ids):
                if finding.figure in wanted:
                    yield finding
        if owners is None:
            compared[bundle] = suspected
        with engine.connect() as connection:
            for finding in orphans(connection, registry, bundle, given):
                if finding.figure in wanted:
                    yield finding
    if not_ours := others.intersection(bundle.name for bundle in bundles):
        raise another(registry, not_ours)


def _chunks(
    engine: Engine,
    registry: Registry,
    bundle: Bundle,
    owners: list[int] | None,
    chunk: int,
    progress: Any,
    compared: Mapping[Bundle, set[int]],
) -> Iterator[tuple[Connection, list[int]]]:
    """The suspected owners, chunk by chunk, each within the snapshot in which they were found.

    `compared` has the owners, by bundle, that lower passes over all owners have suspected.
    """
    after = None
    given = owners
    while True:
        with snapshot(engine) as connection:
            if given is not None:
                ids, given = given[:chunk], given[chunk:]
                size = len(ids)
                statement = suspects(registry, bundle, OWNERS)
                found = set(statement.run(connection, owners=ids).scalars())
            else:
                bounds = next_owners(connection, bundle, after, chunk)
                if bounds is None:
                    return
                low, after, size = bounds
                found = suspected_between(connection, registry, bundle, low, after, compared)
            suspected = sorted(found)
            if suspected:
                yield connection, suspected
            if progress is not None:
                progress(size)
            if size < chunk or (given is not None and not given):
                return  # owners inserted after this snapshot are kept right by the triggers


def suspected_between(
    connection: Connection,
    registry: Registry,
    bundle: Bundle,
    low: int,
    high: int,
    compared: Mapping[Bundle, set[int]],
) -> set[int]:
    """The owners from `low` to `high` that may be wrong.

    `compared` has, for each lower bundle compared over all its owners, those that are wrong.
    """
    known = {lower for lower, wrong in compared.items() if len(wrong) <= MANY}
    trusted = trustworthy(registry, bundle, known)
    statement = suspects(registry, bundle, BETWEEN, trusted)
    found = set(statement.run(connection, low=low, high=high).scalars())
    for lower in trusted:
        if wrong := compared[lower]:
            found |= owners_above(connection, registry, bundle, lower, wrong, between=(low, high))
    return found


def with_rows(connection: Connection, bundles: Sequence[Bundle]) -> list[Bundle]:
    """Those of these bundles, in order, for which any row exists: an owner's, a figure's or a source's.

    In the others nothing can be wrong, and no owner can be missing.
    """
    wanted = tuple(dict.fromkeys(table for bundle in bundles for table in _tables(bundle)))
    if not wanted:
        return []
    there = _are_there(wanted).run(connection).one()
    standing = {table for table, is_there in zip(wanted, there, strict=True) if is_there}
    return [bundle for bundle in bundles if not standing.isdisjoint(_tables(bundle))]


@cache
def _tables(bundle: Bundle) -> tuple[Table, ...]:
    """All the tables of its owners, its figures and their sources."""
    sources = [source for figure in bundle.figures for source in figure.sources]
    through = [source.through.table for source in sources if source.through is not None]
    tables = (bundle.owner_table, *bundle.targets, *(source.table for source in sources), *through)
    return tuple(dict.fromkeys(tables))


@cache
def _are_there(tables: tuple[Table, ...]) -> Statement:
    """For each of these tables, whether it has a row."""
    return Statement(select(*(select(1).select_from(table).exists() for table in tables)))


def next_owners(
    connection: Connection, bundle: Bundle, after: int | None, chunk: int
) -> tuple[int, int, int] | None:
    """First and last id, and count, of the next `chunk` owners by id; None when there are no more."""
    given = {} if after is None else {"after": after}
    page = _page_of(bundle.owner_key, after is None)
    low, high, size = page.run(connection, size=chunk, **given).one()
    return None if size == 0 else (low, high, size)


@cache
def _page_of(key: Column[Any], is_first: bool) -> Statement:
    """First and last, and count, of the first `size` keys, or of those after `after`."""
    ids = select(key.label("id")).order_by(key).limit(bindparam("size", type_=BigInteger))
    if not is_first:
        ids = ids.where(key > bindparam("after", type_=BigInteger))
    page = ids.subquery()
    return Statement(select(func.min(page.c.id), func.max(page.c.id), func.count()))


@dataclass(frozen=True)
class Page:
    """Owners to recompute, out of `size` owners in id order up to `last`."""

    owners: list[int]
    last: int
    size: int


def pages(
    engine: Engine,
    registry: Registry,
    bundle: Bundle,
    given: list[int] | None,
    every_owner: bool,
) -> Iterator[Page]:
    """The scope's owners page by page; the suspected ones, or all of them."""
    after: int | None = None
    while True:
        with engine.connect() as connection:
            page = (
                _next_of(connection, registry, bundle, given, after, every_owner)
                if given is not None
                else _next_of_all(connection, registry, bundle, after, every_owner)
            )
        if page is None:
            return
        yield page
        if page.size < CHUNK:
            return
        after = page.last


def _next_of(
    connection: Connection,
    registry: Registry,
    bundle: Bundle,
    given: list[int],
    after: int | None,
    every_owner: bool,
) -> Page | None:
    ids = [i for i in given if after is None or i > after][:CHUNK]
    if not ids:
        return None
    if every_owner:
        return Page(ids, ids[-1], len(ids))
    found = suspects(registry, bundle, OWNERS).run(connection, owners=ids).scalars()
    return Page(sorted(found), ids[-1], len(ids))


def _next_of_all(
    connection: Connection,
    registry: Registry,
    bundle: Bundle,
    after: int | None,
    every_owner: bool,
) -> Page | None:
    bounds = next_owners(connection, bundle, after, CHUNK)
    if bounds is None:
        return None
    low, high, size = bounds
    if every_owner:
        everyone = select(bundle.owner_key).where(bundle.owner_key.between(low, high))
        return Page(sorted(connection.execute(everyone).scalars()), high, size)
    found = suspects(registry, bundle, BETWEEN).run(connection, low=low, high=high).scalars()
    return Page(sorted(found), high, size)
