"""The kinds of runs over figures: verify, heal, rebuild, apply, drain."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from ..base import N_
from ..figures import registry
from ..figures.healing import WRITE_CHUNK
from ..runs.kinds import Chunk, Kind, register
from ..runs.working import CHUNKS, RUNS, Asked, Work
from . import applying, flood, healing, verifying
from .findings import FINDINGS, check
from .scope import Part, chunks, listed, parts

FIXING = 1_000
"""The first stage of the heals that follow a verification; the verification itself is stage 0."""


def _plan_heal(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    covered = parts(registry, asked.scope, beneath=not asked.dry_run)
    for stage, part in enumerate(covered):
        yield from chunks(connection, part, 0 if asked.dry_run else stage)


def _plan_verify(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    covered = parts(registry, asked.scope, beneath=False)
    for part in covered:
        yield from chunks(connection, part, 0)
    if asked.scope.get("fix"):
        for number, part in enumerate(covered):
            yield Chunk({"bundle": part.bundle.name, "fix": True}, 0, FIXING + 2 * number)


def _heal(work: Work) -> None:
    if work.asked.dry_run:
        verifying.dry_run(work)
    else:
        healing.heal(work)


def _rebuild(work: Work) -> None:
    if work.asked.dry_run:
        verifying.dry_run(work)
    else:
        healing.heal(work, every_owner=True)


def _verify(work: Work) -> None:
    """Verify, or heal what was found: first its owners are listed, then they are corrected."""
    if work.claim.stage < FIXING:
        verifying.verify(work)
    elif "fix" in work.payload:
        _list_found(work)
    else:
        healing.heal(work)


def _list_found(work: Work) -> None:
    bundle = next(b for b in registry.bundles if b.name == work.payload["bundle"])
    names = [figure.name for figure in bundle.figures]
    wrong = select(FINDINGS.c.owner).where(
        FINDINGS.c.figure.in_(names),
        FINDINGS.c.healed_at.is_(None),
        FINDINGS.c.run_id == work.asked.id,
    )
    with work.transaction(is_last=True) as step:
        owners = sorted(step.connection.scalars(wrong.distinct()))
        step.add(listed(bundle, owners, work.claim.stage + 1, WRITE_CHUNK))


def _checked(connection: Connection, asked: Asked) -> Mapping[str, Any]:
    """Say of what was looked at over all owners that it was verified, and when that began."""
    if asked.dry_run:
        return {}
    run = connection.execute(select(RUNS.c.started_at).where(RUNS.c.id == asked.id)).one()
    took = func.extract("epoch", func.clock_timestamp() - run.started_at) * 1000
    told: dict[str, Any] = {}
    for part in parts(registry, asked.scope, beneath=asked.kind != VERIFY.name):
        owners = _owners(connection, asked, part)
        if part.owners is None:
            names = [figure.name for figure in part.bundle.figures]
            check(
                connection, names,
                verified_at=run.started_at, owners=owners, milliseconds=took, run_id=asked.id,
            )  # fmt: skip
        told[part.bundle.name] = owners
    if asked.kind != VERIFY.name:
        return {"owners": told}
    mine = select(func.count()).select_from(FINDINGS).where(FINDINGS.c.run_id == asked.id)
    return {"found": connection.scalar(mine) or 0, "owners": told}


def _owners(connection: Connection, asked: Asked, part: Part) -> int:
    size = select(func.coalesce(func.sum(CHUNKS.c.size), 0)).where(
        CHUNKS.c.run_id == asked.id,
        CHUNKS.c.payload["bundle"].astext == part.bundle.name,
        CHUNKS.c.stage < FIXING,
    )
    return int(connection.scalar(size) or 0)


def _again(items: Sequence[Any]) -> Iterator[Chunk]:
    """The owners that could not be corrected, once more."""
    for stage, bundle in enumerate(registry.bundles):
        names = {bundle.name, *(figure.name for figure in bundle.figures)}
        owners = sorted({item.owner for item in items if item.subject in names and item.owner})
        yield from listed(bundle, owners, stage)


VERIFY = register(
    Kind(
        "figures.verify", N_("Verify figures"), "figures.heal",
        _plan_verify, _verify, _checked, _again,
    )
)  # fmt: skip
HEAL = register(
    Kind(
        "figures.heal", N_("Heal figures"), "figures.heal",
        _plan_heal, _heal, _checked, _again, apply_as="figures.apply",
    )
)  # fmt: skip
REBUILD = register(
    Kind(
        "figures.rebuild", N_("Rebuild figures"), "figures.heal",
        _plan_heal, _rebuild, _checked, _again, apply_as="figures.apply",
    )
)  # fmt: skip
APPLY = register(
    Kind(
        "figures.apply", N_("Apply what a dry run found"), "figures.heal",
        applying.plan, applying.work, applying.result, _again,
    )
)  # fmt: skip
DRAIN = register(
    Kind(
        "figures.drain", N_("Follow another program's writes"), "figures.heal",
        flood.plan, flood.work,
    )
)  # fmt: skip
