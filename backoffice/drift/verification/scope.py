"""The scope of a run over figures: `{"figures": {name: null | [owner ids]}}`; `{}` is everything."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from ...figures import Figure, UnknownFigure, registry
from ...figures.computing.definitions import differing
from ...figures.computing.registry import Bundle, Registry
from ...figures.verifying.verification import next_owners, with_rows
from ...runs.work import Chunk

SCAN = 10_000
"""Owners of one chunk: compared in one statement, which takes a fraction of a second."""

LAST = 2**63 - 1
"""The upper bound of the last chunk, so that owners inserted meanwhile are in it."""


@dataclass(frozen=True)
class BundlePart:
    """One bundle, and the owners covered; None: all."""

    bundle: Bundle
    owners: Sequence[int] | None


def scope_of(
    figures: Iterable[Figure] | None = None, owners: Iterable[int] | None = None
) -> dict[str, Any]:
    """The scope of these figures (None: all) and these owners (None: all)."""
    if figures is None and owners is None:
        return {}
    given = None if owners is None else sorted(set(owners))
    chosen = registry.figures if figures is None else figures
    return {"figures": {figure.name: given for figure in chosen}}


def parts(registry: Registry, scope: Mapping[str, Any], *, beneath: bool) -> list[BundlePart]:
    """The bundles that a scope covers, each after those that it builds on.

    `beneath` adds what an incremental figure builds on, because that is healed before it. Raises UnknownFigure.
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
    connection: Connection,
    part: BundlePart,
    stage: int,
    size: int | None = None,
) -> Iterator[Chunk]:
    """The part in chunks of about `size` owners; by default as many as one statement compares."""
    size = size or SCAN
    if part.owners is not None:
        yield from listed(part.bundle, part.owners, stage, size)
        return
    name = part.bundle.name
    low, bounds = 0, next_owners(connection, part.bundle, None, size)
    if bounds is None:  # no owner left; findings of deleted ones are still examined
        yield Chunk({"bundle": name, "low": low, "high": LAST}, 0, stage)
    while bounds is not None:
        _, end, count = bounds
        bounds = next_owners(connection, part.bundle, end, size) if count == size else None
        high = LAST if bounds is None else end
        yield Chunk({"bundle": name, "low": low, "high": high}, count, stage)
        low = end + 1


FIXING = 1_000
"""The first stage of the heals that follow a verification; earlier stages are the verification itself."""


def fixing(name: str, stage: int) -> Chunk:
    """The chunk that lists the wrong owners of a bundle verified at this stage, for their correction."""
    return Chunk({"bundle": name, "fix": True}, 0, FIXING + 2 * stage)


EMPTY = "empty"
"""In a chunk's payload: the bundles, by name with their stages, that had no row when the run was planned."""


def of_empty(parts: Iterable[tuple[int, BundlePart]]) -> Iterator[Chunk]:
    """One chunk for all of these whole bundles, which had no rows; each is named with its stage."""
    if stages := {part.bundle.name: stage for stage, part in parts}:
        yield Chunk({EMPTY: stages}, 0, min(stages.values()))


def without_rows(
    connection: Connection, registry: Registry, parts: Iterable[BundlePart]
) -> set[Bundle]:
    """The wholly covered bundles that are kept by this process's definition and have no row."""
    whole = [part.bundle for part in parts if part.owners is None]
    others = differing(connection, registry)
    return {b for b in set(whole).difference(with_rows(connection, whole)) if b.name not in others}


def listed(bundle: Bundle, owners: Sequence[int], stage: int, size: int = SCAN) -> Iterator[Chunk]:
    """These owners of a bundle in chunks."""
    for i in range(0, len(owners), size):
        page = list(owners[i : i + size])
        yield Chunk({"bundle": bundle.name, "owners": page}, len(page), stage)


def later(covered: Sequence[BundlePart], bundle: Bundle) -> frozenset[str]:
    """The bundles that the run itself verifies over all their owners after this one."""
    position = [part.bundle for part in covered].index(bundle)
    return frozenset(p.bundle.name for p in covered[position + 1 :] if p.owners is None)


def bundle_named(registry: Registry, name: str) -> Bundle:
    """The bundle named in a chunk. Raises UnknownFigure for one that is declared no more."""
    for bundle in registry.bundles:
        if bundle.name == name:
            return bundle
    raise UnknownFigure(name, [bundle.name for bundle in registry.bundles])
