"""Applies a dry run: exactly what it found, each item checked again under lock; what has changed since is skipped."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Connection, any_, distinct, func, literal, select

from ...base import N_
from ...base.differences import NUMBER
from ...figures import Finding, registry
from ...figures.computing.registry import Bundle
from ...figures.keeping.drain import Drained, drain
from ...figures.keeping.locking import Leading, lock_owners
from ...figures.keeping.notes import Touched
from ...figures.verifying.batches import WRITE_CHUNK
from ...figures.verifying.findings import findings
from ...runs.models import AMOUNTS, APPLIED, FOUND, SKIPPED
from ...runs.work import Asked, Chunk, Work
from ..facts import comparing
from ..findings import ITEMS, as_item, record
from ..verification.checks import settle_open
from ..verification.scope import bundle_named, listed
from .chunks import RunHealer

MOVED = N_("It has changed since the dry run, so it was left alone. Make a new dry run.")
"""Why an item is skipped."""

FIELDS = ("owner", "key", "before", "after")
"""The fields that a skipped item copies from the item found."""

Items = dict[int, list[dict[str, Any]]]
"""Owner → the items that the dry run found."""


def plan(connection: Connection, asked: Asked) -> Iterable[Chunk]:
    """Chunks of the owners that the dry run found, bundle after bundle; facts are compared before and after them."""
    named = select(ITEMS.c.subject, ITEMS.c.owner).where(*_found(asked)).distinct()
    owners: dict[str, set[int]] = defaultdict(set)
    for name, owner in connection.execute(named):
        owners[registry.bundle_of(registry.get(name)).name].add(owner)
    bundles = [bundle for bundle in registry.bundles if bundle.name in owners]
    chunks = [
        chunk
        for stage, bundle in enumerate(bundles, start=1)
        for chunk in listed(bundle, sorted(owners[bundle.name]), stage, WRITE_CHUNK)
    ]
    is_small = sum(map(len, owners.values())) <= comparing.FEW
    return chunks if is_small else comparing.around(asked, bundles, chunks)


def work(work: Work) -> None:
    """Apply the dry run's items for the chunk's owners."""
    if comparing.compare(work):
        return
    bundle = bundle_named(registry, work.payload["bundle"])
    owners: list[int] = work.payload["owners"]
    healer = RunHealer(work, bundle, "heal")

    def apply(connection: Connection, part: Sequence[int], _alone: bool) -> Drained:
        lock_owners(connection, bundle, set(part), Leading())
        still = _as_found(connection, healer, bundle, part)
        pending = {bundle.name: Touched(owners=set(still))}
        # What builds on these has items of its own, or is right: nothing else is written.
        every = registry.bundle_names
        return drain(
            connection, registry, pending, healer.correcting,
            deferred=every, doubtful=healer.healer.doubtful,
        )  # fmt: skip

    core = healer.healer
    core.each(owners, apply, core.of(bundle), bundle.name, core.rows_of(bundle))
    with work.transaction() as step:
        healer.bring_in_step(step.connection)


def _found(asked: Asked) -> tuple[Any, ...]:
    return ITEMS.c.run_id == asked.scope["run"], ITEMS.c.outcome == FOUND


def _as_found(
    connection: Connection, healer: RunHealer, bundle: Bundle, owners: Sequence[int]
) -> list[int]:
    """The owners with exactly the drift that the dry run found; the others' items are skipped.

    What has become right meanwhile (perhaps by this very run, with what it builds on) counts as unchanged.
    """
    assert healer.step is not None
    asked = healer.work.asked
    expected = _items_of(connection, asked, bundle, owners)
    skipped = healer.skipped(connection, owners)
    present: dict[int, list[Finding]] = defaultdict(list)
    for finding in findings(connection, registry, bundle, owners):
        present[finding.owner].append(finding)
    chosen: list[int] = []
    for owner in owners:
        now = {sameness(as_item(finding)) for finding in present[owner]}
        then = {sameness(item) for item in expected[owner]}
        if now and now <= then:
            chosen.append(owner)
        elif now:
            record(connection, present[owner], set(), asked.id)
            if owner not in skipped:
                _skip(healer, expected[owner])
    healer.applied = healer.reported_of(connection, bundle, owners, APPLIED) - set(chosen)
    return chosen


def _items_of(connection: Connection, asked: Asked, bundle: Bundle, owners: Sequence[int]) -> Items:
    columns = (ITEMS.c[name] for name in ("subject", *FIELDS, *AMOUNTS))
    rows = connection.execute(
        select(*columns).where(
            *_found(asked),
            ITEMS.c.subject.in_([figure.name for figure in bundle.figures]),
            ITEMS.c.owner == any_(literal(list(owners), ARRAY(BigInteger))),
        )
    )
    items: Items = defaultdict(list)
    for row in rows.mappings():
        items[row["owner"]].append(dict(row))
    return items


def sameness(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """The identity of an item: two items of a row are the same where this is equal."""
    return (
        item["subject"],
        item["owner"],
        _frozen(item.get("key") or {}),
        _frozen(item["before"]),
        _frozen(item["after"]),
    )


def _frozen(values: Mapping[str, Any] | None) -> Any:
    return None if values is None else frozenset((k, _as_amount(v)) for k, v in values.items())


def _as_amount(value: Any) -> Any:
    """An amount in a normal form: 0 and 0.00 are the same."""
    return Decimal(value) if isinstance(value, str) and re.match(NUMBER, value) else value


def _skip(healer: RunHealer, items: Iterable[dict[str, Any]]) -> None:
    assert healer.step is not None
    for item in items:
        fields = {name: item[name] for name in FIELDS}
        amounts = {name: item[name] for name in AMOUNTS}
        healer.step.item(item["subject"], SKIPPED, error=MOVED, amounts=amounts, **fields)
        healer.step.tally.skipped += 1
        healer.step.more += 1
    healer.step.more -= 1


def result(connection: Connection, asked: Asked) -> dict[str, Any]:
    """How many of the dry run's items were applied, had changed, or were right already."""
    settle_open(connection)
    found = connection.scalar(select(func.count()).select_from(ITEMS).where(*_found(asked))) or 0
    counts: dict[str, int] = dict(
        connection.execute(
            select(ITEMS.c.outcome, func.count(distinct(ITEMS.c.id)))
            .where(ITEMS.c.run_id == asked.id)
            .group_by(ITEMS.c.outcome)
        ).all()
    )
    return {
        "found": found,
        "applied": counts.get(APPLIED, 0),
        "moved": counts.get(SKIPPED, 0),
        "failed": counts.get("failed", 0),
    }
