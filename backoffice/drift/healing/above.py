"""What a heal writes above its scope: figures of other owners that build on what it corrects.

A dry run lists these too, at their future values. Bundle after bundle upwards: when everything beneath a
bundle is verified, the owners that build on the findings there are verified as well. Expected values come from the
facts, so they are final, whatever is stored in between.

A heal proceeds in the same way from its corrections, so that each of these owners is computed once, and not again for
every chunk beneath. It is not deferred where a correction may itself change which owners these are (`collected`): then
it is done with the correction.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, select

from ...figures import registry
from ...figures.computing.dependencies import (
    has_same_owners,
    lower_bundles,
    names_owners,
    owners_above,
)
from ...figures.computing.registry import Bundle
from ...runs.models import FOUND
from ...runs.work import ITEMS, RUNS, Asked, Chunk, Work
from ..findings import CORRECTIONS
from ..verification.scope import BundlePart, bundle_named, listed, parts

FIRST = 1_000
"""The first stage at which a run works above its scope; earlier stages are the scope itself."""


def plan(covered: Sequence[BundlePart]) -> Iterator[Chunk]:
    """A dry run's chunk for every bundle that builds on the scope and is not wholly in it; it finds its owners."""
    for number, bundle in _building_on(covered):
        given = next((part.owners for part in covered if part.bundle is bundle), None) or []
        yield Chunk(
            {"bundle": bundle.name, "above": True, "known": list(given)}, 0, FIRST + 2 * number
        )


def _building_on(covered: Sequence[BundlePart]) -> Iterator[tuple[int, Bundle]]:
    """Every bundle that builds on the scope and is not wholly in it, each after those beneath, with its position."""
    led = {part.bundle for part in covered}
    for number, bundle in enumerate(registry.bundles):
        if led.intersection(lower_bundles(registry, bundle)) and not _is_whole(covered, bundle):
            led.add(bundle)
            yield number, bundle


def plan_heal(covered: Sequence[BundlePart]) -> Iterator[Chunk]:
    """A heal's chunk for every bundle that is collected; it finds the owners that build on what was corrected."""
    for number, bundle in _building_on(covered):
        if _is_collected(bundle):
            yield Chunk({"led": bundle.name}, 0, FIRST + 2 * number)


def collected(asked: Asked, bundle: Bundle) -> frozenset[str]:
    """The bundles of other owners above this one that the heal takes up when everything beneath them is corrected.

    A retry takes up what was left, and corrects what builds on it with each correction.
    """
    if "retry" in asked.scope:
        return frozenset()
    covered = parts(registry, asked.scope, beneath=True)
    above = registry.bundles[registry.bundles.index(bundle) + 1 :]
    return frozenset(
        upper.name
        for _number, upper in _building_on(covered)
        if upper in above and upper.owner_table is not bundle.owner_table and _is_collected(upper)
    )


def _is_collected(upper: Bundle) -> bool:
    """Whether the owners that build on a correction can still be determined after it is made."""
    lower = lower_bundles(registry, upper)
    return all(names_owners(upper, each) for each in lower if not has_same_owners(upper, each))


def lead_heal(work: Work) -> None:
    """Create chunks of the other owners that build on this run's corrections; the same owners' were included."""
    bundle = bundle_named(registry, work.payload["led"])
    beneath = lower_bundles(registry, bundle)
    others = [lower for lower in beneath if not has_same_owners(bundle, lower)]
    with work.transaction(is_last=True) as step:
        corrected = partial(_corrected, _retried(step.connection, work.asked))
        led = _led_to(step.connection, bundle, others, corrected)
        pages = listed(bundle, sorted(led), work.claim.stage + 1)
        step.add(
            Chunk({"led": bundle.name, "owners": page.payload["owners"]}, 0, page.stage)
            for page in pages
        )


def _is_whole(covered: Sequence[BundlePart], bundle: Bundle) -> bool:
    return any(part.bundle is bundle and part.owners is None for part in covered)


def lead(work: Work) -> None:
    """Create chunks of the owners that build on findings beneath, except those already verified."""
    bundle = bundle_named(registry, work.payload["bundle"])
    with work.transaction(is_last=True) as step:
        beneath = lower_bundles(registry, bundle)
        found = _led_to(step.connection, bundle, beneath, partial(_found, work.asked))
        owners = found - set(work.payload["known"])
        step.add(listed(bundle, sorted(owners), work.claim.stage + 1))


def _led_to(
    connection: Connection,
    bundle: Bundle,
    beneath: Sequence[Bundle],
    of: Callable[[Sequence[str]], Select[Any]],
) -> set[int]:
    """The owners of the bundle that read something `beneath` which the run changes; `of` selects those lower owners."""
    read = {figure.name for own in bundle.figures for figure in registry.depends_on(own)}
    led: set[int] = set()
    for lower in beneath:
        names = [figure.name for figure in lower.figures if figure.name in read]
        owners = set(connection.scalars(of(names).distinct()))
        if owners:
            led |= owners_above(connection, registry, bundle, lower, owners)
    return led - {None}


def _found(asked: Asked, names: Sequence[str]) -> Select[Any]:
    """SELECT the owners of these figures that a dry run has found wrong."""
    return select(ITEMS.c.owner).where(
        ITEMS.c.run_id.in_([asked.id, int(asked.scope.get("retry", asked.id))]),
        ITEMS.c.outcome == FOUND,
        ITEMS.c.subject.in_(names),
    )


def _corrected(runs: Sequence[int], names: Sequence[str]) -> Select[Any]:
    """SELECT the owners of these figures that the runs have corrected."""
    of_runs = CORRECTIONS.c.run_id.in_(runs)
    return select(CORRECTIONS.c.owner).where(of_runs, CORRECTIONS.c.figure.in_(names))


def _retried(connection: Connection, asked: Asked) -> list[int]:
    """The run and those that it retries: what builds on their corrections may be left to this one."""
    runs, scope = [asked.id], asked.scope
    while "retry" in scope:
        runs.append(int(scope["retry"]))
        scope = connection.execute(select(RUNS.c.scope).where(RUNS.c.id == runs[-1])).scalar_one()
    return runs
