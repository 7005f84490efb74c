"""What a run over figures covers: `{"figures": {name: null | [owner ids]}}`; `{}` is everything."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ...figures import Figure
from ...figures.computing.registry import Bundle, Registry
from ...figures.verifying.verification import next_owners
from ...runs.work import Chunk

SCAN = 10_000
"""Owners of one chunk: compared in one statement, which takes a fraction of a second."""

LAST = 2**63 - 1
"""The end of the last chunk, so that owners who come meanwhile are in it."""


@dataclass(frozen=True)
class BundlePart:
    """One bundle, and which of its owners; None: every one."""

    bundle: Bundle
    owners: Sequence[int] | None


def scope_of(
    figures: Iterable[Figure] | None = None, owners: Iterable[int] | None = None
) -> dict[str, Any]:
    """The scope of these figures (None: all) and of these owners of theirs (None: all)."""
    if figures is None:
        return {}
    given = None if owners is None else sorted(set(owners))
    return {"figures": {figure.name: given for figure in figures}}


def parts(registry: Registry, scope: Mapping[str, Any], *, beneath: bool) -> list[BundlePart]:
    """The bundles that a scope covers, each after those that it builds on.

    `beneath` adds what a figure to which changes are added builds on, for that is healed before it.
    Raises UnknownFigure.
    """
    named: Mapping[str, Sequence[int] | None] = scope.get("figures") or {}
    chosen = {registry.get(name): owners for name, owners in named.items()}
    if not chosen:
        chosen = dict.fromkeys(registry.figures)
    if beneath:
        whole = [figure for figure, owners in chosen.items() if owners is None]
        chosen |= dict.fromkeys(registry.with_beneath(whole))
    return [_part(bundle, chosen) for bundle in registry.bundles_of(chosen)]


def _part(bundle: Bundle, chosen: Mapping[Figure, Sequence[int] | None]) -> BundlePart:
    given = [chosen[figure] for figure in bundle.figures if figure in chosen]
    lists = [owners for owners in given if owners is not None]
    if len(lists) < len(given):
        return BundlePart(bundle, None)
    return BundlePart(bundle, sorted({owner for owners in lists for owner in owners}))


def chunks(
    connection: Connection, part: BundlePart, stage: int, size: int | None = None
) -> Iterator[Chunk]:
    """The part in chunks of about `size` owners; by default as many as one statement compares."""
    size = size or SCAN
    if part.owners is not None:
        yield from listed(part.bundle, part.owners, stage, size)
        return
    low, bounds = 0, next_owners(connection, part.bundle, None, size)
    if bounds is None:  # nobody is there; what was found of those who were is looked at
        yield Chunk({"bundle": part.bundle.name, "low": low, "high": LAST}, 0, stage)
    while bounds is not None:
        _, end, count = bounds
        bounds = next_owners(connection, part.bundle, end, size)
        high = LAST if bounds is None else end
        yield Chunk({"bundle": part.bundle.name, "low": low, "high": high}, count, stage)
        low = end + 1


def listed(bundle: Bundle, owners: Sequence[int], stage: int, size: int = SCAN) -> Iterator[Chunk]:
    """These owners of a bundle in chunks."""
    for i in range(0, len(owners), size):
        page = list(owners[i : i + size])
        yield Chunk({"bundle": bundle.name, "owners": page}, len(page), stage)


def later(covered: Sequence[BundlePart], bundle: Bundle) -> frozenset[str]:
    """The bundles that the run itself looks at over all their owners after this one."""
    position = [part.bundle for part in covered].index(bundle)
    return frozenset(p.bundle.name for p in covered[position + 1 :] if p.owners is None)


def bundle_named(registry: Registry, name: str) -> Bundle:
    """The bundle that a chunk names."""
    return next(bundle for bundle in registry.bundles if bundle.name == name)
