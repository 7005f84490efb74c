"""What a heal writes above its scope: figures of other owners that build on what it corrects.

A dry run lists these too, at the values that they will have. Bundle after bundle upwards: when everything beneath a
bundle was looked at, whoever builds on what was found there is looked at as well. Expected values come from the
facts, so they are what they will be, whatever is stored between.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select

from ...figures import registry
from ...figures.computing.dependencies import lower_bundles, owners_above
from ...figures.computing.registry import Bundle
from ...runs.models import FOUND
from ...runs.work import ITEMS, Asked, Chunk, Work
from ..verification.scope import BundlePart, bundle_named, listed

FIRST = 1_000
"""The first stage at which a dry run looks above its scope; the stages before are the scope itself."""


def plan(covered: Sequence[BundlePart]) -> Iterator[Chunk]:
    """A chunk for every bundle that builds on the scope and is not wholly in it; each leads to its owners."""
    led = {part.bundle for part in covered}
    for number, bundle in enumerate(registry.bundles):
        if led.intersection(lower_bundles(registry, bundle)) and not _is_whole(covered, bundle):
            led.add(bundle)
            given = next((part.owners for part in covered if part.bundle is bundle), None) or []
            yield Chunk(
                {"bundle": bundle.name, "above": True, "known": list(given)}, 0, FIRST + 2 * number
            )


def _is_whole(covered: Sequence[BundlePart], bundle: Bundle) -> bool:
    return any(part.bundle is bundle and part.owners is None for part in covered)


def lead(work: Work) -> None:
    """Cut whoever builds on what was found beneath into chunks, but for those who were looked at already."""
    bundle = bundle_named(registry, work.payload["bundle"])
    with work.transaction(is_last=True) as step:
        owners = _led_to(step.connection, work.asked, bundle) - set(work.payload["known"])
        step.add(listed(bundle, sorted(owners), work.claim.stage + 1))


def _led_to(connection: Connection, asked: Asked, bundle: Bundle) -> set[int]:
    """The owners of the bundle for whom something is read that the dry run would change."""
    read = {figure.name for own in bundle.figures for figure in registry.depends_on(own)}
    found: set[int] = set()
    for lower in lower_bundles(registry, bundle):
        names = [figure.name for figure in lower.figures if figure.name in read]
        wrong = select(ITEMS.c.owner).where(
            ITEMS.c.run_id.in_([asked.id, int(asked.scope.get("retry", asked.id))]),
            ITEMS.c.outcome == FOUND,
            ITEMS.c.subject.in_(names),
        )
        owners = set(connection.scalars(wrong.distinct()))
        if owners:
            found |= owners_above(connection, registry, bundle, lower, owners)
    return found - {None}
