"""The scope and the chunks of a recalculation of customers: their meters first, then the customers.

The scope `{}` is every customer with a meter assignment, active or not; `{"customers": [ids]}` these.
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
from ...drift.facts import comparing
from ...drift.healing import chunks as healing
from ...drift.verification import chunks as verifying
from ...drift.verification.scope import LAST, SCAN, bundle_named, listed
from ...figures import registry
from ...figures.computing.registry import Bundle
from ...runs.work import Asked, Chunk, Work
from ..figures import RECALCULATED, customer_balance
from ..migration import preview
from ..models import Meter, MeterAssignment

CHUNK = SCAN
"""Owners of one chunk; small enough that a progress bar moves and several workers share a large book."""

ASSIGNMENTS = table_of(MeterAssignment)


def bundles() -> Sequence[Bundle]:
    """The bundles that are recomputed, each after those it builds on."""
    return registry.bundles_of(RECALCULATED)


def meters(scope: Mapping[str, Any]) -> Select[Any]:
    """The ids of the meters that are or were assigned to customers in scope, each once."""
    in_scope = _is_asked_for(scope)
    return select(ASSIGNMENTS.c.meter_id.label("id")).where(in_scope).distinct()


def customers(scope: Mapping[str, Any]) -> Select[Any]:
    """The ids of the customers who are recalculated, each once.

    Where a meter of a given customer is now assigned to another, that one is included: the meter's
    balance counts for them.
    """
    in_scope = _is_asked_for(scope)
    if "customers" in scope:
        now = ASSIGNMENTS.c.is_active & ASSIGNMENTS.c.meter_id.in_(meters(scope))
        in_scope = or_(in_scope, now)
    return select(ASSIGNMENTS.c.customer_id.label("id")).where(in_scope).distinct()


def _is_asked_for(scope: Mapping[str, Any]) -> ColumnElement[bool]:
    if "customers" not in scope:
        return true()
    return ASSIGNMENTS.c.customer_id == any_(literal(scope["customers"], ARRAY(BigInteger)))


def _owners(bundle: Bundle, scope: Mapping[str, Any]) -> Select[Any]:
    return meters(scope) if bundle.owner_table is table_of(Meter) else customers(scope)


def plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """The chunks of a recalculation, with the comparisons of facts, except for a few given customers."""
    if preview.is_previewed(asked):
        yield from preview.share_of(connection, asked, [customer_balance])
        return
    chunks = _cut(connection, asked)
    is_small = len(asked.scope.get("customers", range(comparing.FEW + 1))) <= comparing.FEW
    yield from chunks if is_small else comparing.around(asked, bundles(), chunks)


def _cut(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    """Chunks of the customers by ranges of ids, which include those added meanwhile.

    Their meters are corrected with them; a dry run compares the meters in chunks of their own.
    """
    for bundle in bundles() if asked.dry_run else bundles()[-1:]:
        low, pages = 0, _pages(connection, bundle, asked.scope)
        for number, (end, count) in enumerate(pages, start=1):
            high = LAST if number == len(pages) else end
            yield Chunk({"bundle": bundle.name, "low": low, "high": high}, count, 1)
            low = end + 1


def _pages(
    connection: Connection, bundle: Bundle, scope: Mapping[str, Any]
) -> Sequence[tuple[int, int]]:
    """The last id and the number of owners of every page."""
    owners = _owners(bundle, scope).subquery()
    place = func.row_number().over(order_by=owners.c.id) - 1
    placed = select(owners.c.id, (place // CHUNK).label("page")).subquery()
    pages = select(func.max(placed.c.id), func.count()).group_by(placed.c.page)
    return [(end, count) for end, count in connection.execute(pages.order_by(placed.c.page))]


def recalculate(work: Work) -> None:
    """Recompute a chunk's owners from the facts, writing only differences; in a dry run list them.

    An owner with figures that PostgreSQL refuses becomes a failed item, and never stops the rest.
    """
    if preview.SHARE in work.payload:
        preview.copy(work)
        return
    if comparing.compare(work):
        return
    owners = _owners_of(work)
    if work.asked.dry_run:
        work.payload = {"bundle": work.payload["bundle"], "owners": owners}
        verifying.dry_run(work)
    else:
        bundle = bundle_named(registry, work.payload["bundle"])
        upto = bundles().index(bundle) + 1
        healing.heal_with_beneath(work, bundles()[:upto], owners)


def _owners_of(work: Work) -> list[int]:
    """The owners of the chunk that are in scope now; a retry names them."""
    payload: Any = work.payload
    if "owners" in payload:
        return sorted(payload["owners"])
    in_scope = _owners(bundle_named(registry, payload["bundle"]), work.asked.scope).subquery()
    between = select(in_scope.c.id).where(in_scope.c.id.between(payload["low"], payload["high"]))
    with work.snapshot() as connection:
        return sorted(connection.scalars(between))


def again(items: Sequence[Any]) -> Iterator[Chunk]:
    """Chunks that retry the customers that could not be corrected."""
    for stage, bundle in enumerate(bundles()):
        names = {bundle.name, *(figure.name for figure in bundle.figures)}
        owners = sorted({item.owner for item in items if item.subject in names and item.owner})
        yield from listed(bundle, owners, stage)
