"""The kinds of runs over figures: verify, heal, rebuild, apply, drain."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    any_,
    false,
    func,
    literal,
    or_,
    select,
)

from ..base import N_
from ..figures import Check, registry
from ..figures.computing.registry import Bundle
from ..figures.verifying.batches import WRITE_CHUNK
from ..runs.kinds import RunKind, Scope, as_dry_run
from ..runs.models import CHUNK_DONE
from ..runs.wording import Reason
from ..runs.work import CHUNKS, RUNS, Asked, Chunk, Work
from .facts import comparing
from .facts.findings import all_facts
from .facts.holding import BROKEN, HELD, LOCKED
from .findings import CORRECTIONS, check, close_undeclared
from .healing import above, applying
from .healing import chunks as healing
from .models import FORGED
from .outside import flood
from .recording import FINDINGS
from .verification import checks as checking
from .verification import chunks as verifying
from .verification import guards
from .verification.scope import (
    EMPTY,
    FIXING,
    BundlePart,
    chunks,
    fixing,
    listed,
    of_empty,
    parts,
    without_rows,
)

REASONS = (
    *map(Reason, (applying.MOVED, verifying.ORPHANED, verifying.ANOTHER, guards.BROKEN, guards.ASLEEP, guards.FOREIGN)),
    Reason(HELD, "drift.index", {"cause": FORGED}),
    Reason(comparing.MEANWHILE, "drift.index", {"cause": FORGED}),
    Reason(BROKEN, "drift.index"),
    Reason(LOCKED, "drift.index"),
)  # fmt: skip


def _plan_heal(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    covered = parts(registry, asked.scope, beneath=True)
    empty = without_rows(connection, registry, covered)
    cut = _cut(connection, covered, empty, at_once=asked.dry_run)
    led = above.plan(covered) if asked.dry_run else above.plan_heal(covered)
    yield from _compared(asked, covered, empty, chain(cut, led))


def _compared(
    asked: Asked, covered: Sequence[BundlePart], empty: set[Bundle], chunks: Iterable[Chunk]
) -> Iterable[Chunk]:
    """The chunks of a run that corrects, with the comparisons of facts where it covers more than a few owners.

    Rows that come into an empty company meanwhile are few: their facts are compared in each transaction.
    """
    if all(part.bundle in empty for part in covered):
        return chunks
    owners = {owner for part in covered for owner in part.owners or ()}
    is_small = all(part.owners is not None for part in covered) and len(owners) <= comparing.FEW
    return chunks if is_small else comparing.around(asked, [p.bundle for p in covered], chunks)


def _cut(
    connection: Connection,
    covered: Sequence[BundlePart],
    empty: set[Bundle],
    *,
    at_once: bool = False,
) -> Iterator[Chunk]:
    """The parts in chunks, each at a stage after what it builds on; the empty ones in a single chunk."""
    staged = [(1 if at_once else stage, part) for stage, part in enumerate(covered, start=1)]
    yield from of_empty((stage, part) for stage, part in staged if part.bundle in empty)
    for stage, part in staged:
        if part.bundle not in empty:
            yield from chunks(connection, part, stage)


def _plan_verify(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    covered = parts(registry, asked.scope, beneath=False)
    if not asked.scope.get("figures"):
        yield Chunk({"guards": True})
    empty = without_rows(connection, registry, covered)
    cut = _cut(connection, covered, empty)
    if asked.scope.get("fix"):
        kept = [(n, p.bundle) for n, p in enumerate(covered, start=1) if p.bundle not in empty]
        fixes = (fixing(bundle.name, stage) for stage, bundle in kept)
        cut = iter(_compared(asked, covered, empty, chain(cut, fixes)))
    yield from cut
    yield from map(checking.chunk_of, _checks(covered))


def _checks(covered: Sequence[BundlePart]) -> Sequence[Check]:
    """The checks among what is verified over all owners."""
    return checking.reading(
        f for part in covered if part.owners is None for f in part.bundle.figures
    )


def _heal(work: Work) -> None:
    """Correct the wrong owners; a rebuild recomputes all of them."""
    if comparing.compare(work):
        return
    if EMPTY in work.payload:
        verifying.look_at_empty(work)
    elif work.asked.dry_run:
        verifying.dry_run(work)
    else:
        healing.heal(work, every_owner=work.asked.kind == REBUILD.name)


def _verify(work: Work) -> None:
    """Verify, or heal the findings: first list the wrong owners, then correct them."""
    if comparing.compare(work):
        return
    if "guards" in work.payload:
        guards.verify(work)
    elif "check" in work.payload:
        checking.verify(work)
    elif EMPTY in work.payload:
        verifying.look_at_empty(work)
    elif work.claim.stage < FIXING:
        verifying.verify(work)
    elif "fix" in work.payload:
        _list_found(work)
    else:
        healing.heal(work)


def _list_found(work: Work) -> None:
    covered = parts(registry, work.asked.scope, beneath=False)
    part = next(part for part in covered if part.bundle.name == work.payload["bundle"])
    bundle = part.bundle
    names = [figure.name for figure in bundle.figures]
    wrong = select(FINDINGS.c.owner).where(
        FINDINGS.c.figure.in_(names), FINDINGS.c.healed_at.is_(None), *_within(part)
    )
    with work.transaction(is_last=True) as step:
        owners = sorted(step.connection.scalars(wrong.distinct()))
        step.add(listed(bundle, owners, work.claim.stage + 1, WRITE_CHUNK))


def _within(part: BundlePart) -> list[ColumnElement[bool]]:
    """The findings of the owners that the run covers, whichever verification saw them last."""
    if part.owners is None:
        return []
    return [FINDINGS.c.owner == any_(literal(list(part.owners), ARRAY(BigInteger)))]


def _checked(connection: Connection, asked: Asked) -> Mapping[str, Any]:
    """Record what was verified over all owners, and when that began.

    Without bundles of which anything failed, and never for a retry, which covers only what was left.
    """
    if asked.dry_run:
        return {}
    run = connection.execute(select(RUNS.c.started_at).where(RUNS.c.id == asked.id)).one()
    took = func.extract("epoch", func.clock_timestamp() - run.started_at) * 1000
    looked, reported = _looked_at(connection, asked), dict[str, int]()
    verified = dict[str, int]()
    for part in parts(registry, asked.scope, beneath=asked.kind != VERIFY.name):
        reported[part.bundle.name], is_whole = looked[part.bundle.name]
        if is_whole and part.owners is None and "retry" not in asked.scope:
            names = [figure.name for figure in part.bundle.figures]
            verified |= dict.fromkeys(names, reported[part.bundle.name])
    check(connection, verified, verified_at=run.started_at, milliseconds=took, run_id=asked.id)
    checking.settle_open(connection)
    if asked.kind != VERIFY.name:
        return {"owners": reported}
    if not asked.scope.get("figures"):
        close_undeclared(connection, _declared_names())
    return {"found": _found(connection, asked), "owners": reported}


def _declared_names() -> list[str]:
    """The names of everything that can have findings."""
    figures = (figure.name for figure in registry.figures)
    facts = (each.name for each in all_facts())
    return [*figures, *facts, *checking.all_checks()]


def _found(connection: Connection, asked: Asked) -> int:
    """How many rows are wrong, or were until this run corrected them."""
    corrected = select(CORRECTIONS.c.id).where(CORRECTIONS.c.run_id == asked.id)
    is_mine = or_(FINDINGS.c.healed_at.is_(None), FINDINGS.c.correction_id.in_(corrected))
    covered = parts(registry, asked.scope, beneath=False)
    mine = [
        and_(FINDINGS.c.figure.in_([f.name for f in part.bundle.figures]), *_within(part))
        for part in covered
    ]
    wrong = select(func.count()).select_from(FINDINGS).where(is_mine, or_(false(), *mine))
    return checking.differing(connection, _checks(covered)) + (connection.scalar(wrong) or 0)


def _looked_at(connection: Connection, asked: Asked) -> Mapping[str, tuple[int, bool]]:
    """By bundle, how many of its owners were verified, and whether nothing of it failed.

    A bundle without a chunk was not verified.
    """
    payload = CHUNKS.c.payload
    of = (
        payload["bundle"].astext.label("bundle"),
        payload[EMPTY].label("empty"),
    )
    is_check = CHUNKS.c.stage < FIXING
    done = func.sum(CHUNKS.c.size).filter(is_check, CHUNKS.c.status == CHUNK_DONE)
    failed = func.count().filter(or_(CHUNKS.c.status != CHUNK_DONE, CHUNKS.c.failed > 0))
    chunks = select(*of, func.coalesce(done, 0).label("done"), failed.label("failed"))
    found: dict[str, tuple[int, bool]] = defaultdict(lambda: (0, False))
    for row in connection.execute(
        chunks.where(CHUNKS.c.run_id == asked.id).group_by("bundle", "empty")
    ):
        for name in row.empty or [row.bundle]:
            owners, is_whole = found.get(name, (0, True))
            found[name] = owners + int(row.done), is_whole and not row.failed
    return found


def _again(items: Sequence[Any]) -> Iterator[Chunk]:
    """The chunks of a retry: the owners that could not be corrected."""
    for stage, bundle in enumerate(registry.bundles):
        names = {bundle.name, *(figure.name for figure in bundle.figures)}
        owners = sorted({item.owner for item in items if item.subject in names and item.owner})
        yield from listed(bundle, owners, stage)


def _fix_again(items: Sequence[Any]) -> Iterator[Chunk]:
    """The same for a verification that heals its findings."""
    for chunk in _again(items):
        yield Chunk(chunk.payload, chunk.size, FIXING + 1 + 2 * chunk.stage)


def _heals_unseen(scope: Scope) -> tuple[str, Scope] | None:
    """The heal that previews a verification which corrects its findings."""
    if not scope.get("fix"):
        return None
    return as_dry_run("figures.heal", {key: scope[key] for key in scope if key != "fix"})


VERIFY = RunKind(
    "figures.verify", N_("Verify figures"), "figures.heal",
    _plan_verify, _verify, _checked, _fix_again, preview=_heals_unseen, findings="drift.index",
)  # fmt: skip
HEAL = RunKind(
    "figures.heal", N_("Heal figures"), "figures.heal",
    _plan_heal, _heal, _checked, _again, apply_as="figures.apply",
    preview=partial(as_dry_run, "figures.heal"),
)  # fmt: skip
REBUILD = RunKind(
    "figures.rebuild", N_("Rebuild figures"), "figures.heal",
    _plan_heal, _heal, _checked, _again, apply_as="figures.apply",
    preview=partial(as_dry_run, "figures.rebuild"),
)  # fmt: skip
APPLY = RunKind(
    "figures.apply", N_("Apply what a dry run found"), "figures.heal",
    applying.plan, applying.work, applying.result, _again,
)  # fmt: skip
DRAIN = RunKind(
    "figures.drain", N_("Follow another program's writes"), "figures.heal",
    flood.plan, flood.work, again=flood.again,
)  # fmt: skip

KINDS = (VERIFY, HEAL, REBUILD, APPLY, DRAIN)
