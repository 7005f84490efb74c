"""Verification: stored beside expected, over any scope, and the root of every difference.

A pass over the owners finds the few of whom something is wrong; only those are looked at row by
row. Each chunk of owners is compared in one read-only REPEATABLE READ snapshot.

What builds on a bundle that has just been compared over all its owners is compared with that as it
is stored: where the lower row is right, that is its expected value, and whoever builds on a lower row
that is wrong is looked at anyway. So no row of facts is read once for every figure above it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from ..database import statistics
from .declaration import Figure
from .definitions import another, differing
from .dependencies import owners_above, trustworthy
from .findings import Finding, findings, orphans
from .registry import Bundle, Registry
from .relations import BETWEEN, OWNERS
from .statements import suspects

CHUNK = 200_000
"""Owners compared in one statement; a million orders take about five."""

MANY = 10_000
"""Where more owners of a lower bundle are wrong, what builds on it is compared with the facts: that is cheaper."""


def verify(
    engine: Engine,
    registry: Registry,
    figures: Sequence[Figure] | None = None,
    owners: Iterable[int] | None = None,
    *,
    chunk: int = CHUNK,
    progress: Any = None,
) -> Iterator[Finding]:
    """Every drifted figure row in scope, in dependency order, and those whose owner is missing; reads only.

    `figures` (default all) and `owners` (ids of the figures' owners; default all) give the scope;
    `progress(owners)` is called after each chunk with how many owners it held.
    Raises AnotherDefinition when all others were looked at, where the database keeps some by another definition.
    """
    wanted = frozenset(registry.figures if figures is None else figures)
    compared: dict[Bundle, set[int]] = {}
    given = None if owners is None else sorted(set(owners))
    with engine.connect() as connection:
        others = differing(connection, registry)
    bundles = registry.bundles_of(wanted)
    if owners is None:
        statistics.refresh(engine)
    for bundle in (bundle for bundle in bundles if bundle.name not in others):
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

    `compared` names the owners, by bundle, that lower passes over all owners have suspected.
    """
    after = None
    given = owners
    while True:
        with engine.connect() as plain:
            connection = plain.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
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
            if given is not None and not given:
                return


def suspected_between(
    connection: Connection,
    registry: Registry,
    bundle: Bundle,
    low: int,
    high: int,
    compared: Mapping[Bundle, set[int]],
) -> set[int]:
    """The owners from `low` to `high` of whom something may be wrong.

    `compared` holds, by lower bundle that was compared over all its owners, those that are wrong.
    """
    known = {lower for lower, wrong in compared.items() if len(wrong) <= MANY}
    trusted = trustworthy(registry, bundle, known)
    statement = suspects(registry, bundle, BETWEEN, trusted)
    found = set(statement.run(connection, low=low, high=high).scalars())
    for lower in trusted:
        if wrong := compared[lower]:
            found |= owners_above(connection, registry, bundle, lower, wrong, low=low, high=high)
    return found


def next_owners(
    connection: Connection, bundle: Bundle, after: int | None, chunk: int
) -> tuple[int, int, int] | None:
    """First and last id, and number, of the next `chunk` owners by id; None when there are no more."""
    ids = select(bundle.owner_key.label("id")).order_by(bundle.owner_key).limit(chunk)
    if after is not None:
        ids = ids.where(bundle.owner_key > after)
    page = ids.subquery()
    low, high, size = connection.execute(
        select(func.min(page.c.id), func.max(page.c.id), func.count())
    ).one()
    return None if size == 0 else (low, high, size)
