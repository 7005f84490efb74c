"""What a recalculation of customers covers, and one part of it: their meters first, then themselves.

Its scope `{}` is every customer with a meter assignment, active or not; `{"customers": [ids]}` these.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    any_,
    func,
    literal,
    or_,
    select,
    true,
)

from ...base import table_of
from ...drift.healing import chunks as healing
from ...drift.verification.scope import LAST, SCAN, bundle_named, listed
from ...figures import registry
from ...figures.computing.registry import Bundle
from ...runs.work import Asked, Chunk, Work
from ..figures import RECALCULATED
from ..migration import would_be
from ..models import Meter, MeterAssignment

CHUNK = SCAN
"""Owners of one chunk; small enough that a progress bar moves and several workers share a large book."""

ASSIGNMENTS = table_of(MeterAssignment)


def bundles() -> Sequence[Bundle]:
    """What is recomputed, each after what it builds on."""
    return registry.bundles_of(RECALCULATED)


def meters(scope: Mapping[str, Any]) -> Select[Any]:
    """The ids of the meters that the customers in scope have, or had, each once."""
    mine = _is_asked_for(scope)
    return select(ASSIGNMENTS.c.meter_id.label("id")).where(mine).distinct()


def customers(scope: Mapping[str, Any]) -> Select[Any]:
    """The ids of the customers who are recalculated, each once.

    Where a given customer once had a meter that is now another one's, that one is too: the meter's
    balance is theirs, and would change without them.
    """
    mine = _is_asked_for(scope)
    if "customers" in scope:
        now = ASSIGNMENTS.c.is_active & ASSIGNMENTS.c.meter_id.in_(meters(scope))
        mine = or_(mine, now)
    return select(ASSIGNMENTS.c.customer_id.label("id")).where(mine).distinct()


def _is_asked_for(scope: Mapping[str, Any]) -> ColumnElement[bool]:
    if "customers" not in scope:
        return true()
    return ASSIGNMENTS.c.customer_id == any_(literal(scope["customers"], ARRAY(BigInteger)))


def _owners(bundle: Bundle, scope: Mapping[str, Any]) -> Select[Any]:
    return meters(scope) if bundle.owner_table is table_of(Meter) else customers(scope)


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """The customers, cut by their ids; those who come meanwhile are in it.

    Their meters are corrected with them; a dry run looks at each of those by itself.
    """
    each = asked.dry_run and not would_be.is_previewed(
        asked
    )  # a migration's step 4 tells of meters
    for bundle in bundles() if each else bundles()[-1:]:
        low, pages = 0, _pages(connection, bundle, asked.scope)
        for number, (end, count) in enumerate(pages, start=1):
            high = LAST if number == len(pages) else end
            yield Chunk({"bundle": bundle.name, "low": low, "high": high}, count)
            low = end + 1


def _pages(
    connection: Connection, bundle: Bundle, scope: Mapping[str, Any]
) -> Sequence[tuple[int, int]]:
    """The last id of every page of owners, and how many they are."""
    owners = _owners(bundle, scope).subquery()
    place = func.row_number().over(order_by=owners.c.id) - 1
    placed = select(owners.c.id, (place // CHUNK).label("page")).subquery()
    pages = select(func.max(placed.c.id), func.count()).group_by(placed.c.page)
    return [(end, count) for end, count in connection.execute(pages.order_by(placed.c.page))]


def recalculate(work: Work) -> None:
    """Recompute a chunk's owners by the facts, writing only differences; in a dry run say which.

    One whose figures PostgreSQL refuses is an item that failed, and never stops the rest.
    """
    owners = _owners_of(work)
    if work.asked.dry_run:
        work.payload = {"bundle": work.payload["bundle"], "owners": owners}
        would_be.dry_run(work)
    else:
        bundle = bundle_named(registry, work.payload["bundle"])
        upto = bundles().index(bundle) + 1
        healing.heal_with_beneath(work, bundles()[:upto], owners)


def _owners_of(work: Work) -> list[int]:
    """The owners of the chunk who are in scope now; given ones are those of a retry."""
    payload: Any = work.payload
    if "owners" in payload:
        return sorted(payload["owners"])
    mine = _owners(bundle_named(registry, payload["bundle"]), work.asked.scope).subquery()
    between = select(mine.c.id).where(mine.c.id.between(payload["low"], payload["high"]))
    with work.snapshot() as connection:
        return sorted(connection.scalars(between))


def again(items: Sequence[Any]) -> Iterator[Chunk]:
    """The customers that could not be corrected, once more."""
    for stage, bundle in enumerate(bundles()):
        names = {bundle.name, *(figure.name for figure in bundle.figures)}
        owners = sorted({item.owner for item in items if item.subject in names and item.owner})
        yield from listed(bundle, owners, stage)
