"""A run over many owners compares the facts that its figures read with the audit trail: before it, and after it.

The comparison before is a chunk of its own at a stage before all others, so nothing is corrected until it is done; its
payload keeps which rows differ, and every worker of the run skips the owners above them. The comparison after finds
what was forged meanwhile, and reports the corrections that used it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Connection, any_, literal, select, update

from ...audit import marks
from ...audit.facts import Facts, Forgery, facts_by_table
from ...audit.marks import Mark
from ...base import N_, table_of
from ...figures import registry
from ...figures.computing.dependencies import lower_bundles
from ...figures.computing.registry import Bundle
from ...figures.models import Correction
from ...runs.models import ITEM_FAILED
from ...runs.work import CHUNKS, Asked, Chunk, Work
from ..verification.scope import bundle_named
from .findings import open_ids, settle
from .holding import Doubts, building_on, read_columns

CORRECTIONS = table_of(Correction)

COMPARED = "compared"
"""In a chunk's payload: the tables of facts that it compares."""

DIFFERING = "differing"
"""In the payload of the comparison before: by table, the ids of the rows that differ."""

AFTER = 1_000_000
"""The stage of the comparison after, beyond all others."""

FEW = 1_000
"""With fewer given owners no table is compared: each transaction compares the facts of its owners instead."""

MEANWHILE = N_(
    "An input was changed without the audit trail while this run was working, and the correction used it. Decide about "
    "that input first, then heal this total again."
)
"""Why a corrected owner is reported at the end of a run."""


def around(asked: Asked, bundles: Iterable[Bundle], chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """The chunks of a run that corrects these bundles, with the comparisons before and after them.

    The chunks must have stages above 0. After a dry run nothing is compared, because it has corrected nothing.
    """
    tables = _read_by(bundles)
    yield Chunk({COMPARED: tables}, 0, 0)
    yield from chunks
    if not asked.dry_run:
        yield Chunk({COMPARED: tables}, 0, AFTER)


def _read_by(bundles: Iterable[Bundle]) -> list[str]:
    """The tables of facts that the figures of these bundles are derived from, down through all others."""
    waiting = list(bundles)
    found = set(waiting)
    while waiting:
        new = set(lower_bundles(registry, waiting.pop())) - found
        found |= new
        waiting += new
    read = {source.table.name for bundle in found for source in bundle.sources}
    return sorted(read & facts_by_table().keys())


def compare(work: Work) -> bool:
    """Do the chunk if it is one of the two comparisons; returns whether it is."""
    if COMPARED not in work.payload:
        return False
    if work.claim.stage == AFTER:
        _after(work)
    else:
        _before(work)
    return True


def _before(work: Work) -> None:
    """Find what differs; record it as findings, except in a dry run, and in the chunk itself."""
    tables = _tables(work)
    with work.snapshot() as connection:
        places = marks.begun(connection, tables)
        forged = {
            facts.name: marks.differing(
                connection,
                facts,
                read_columns(facts),
                marks.of(connection, facts.name),
                open_ids(connection, facts.name),
            )
            for facts in tables
        }
    ids = {name: [forgery.id for forgery in found] for name, found in forged.items() if found}
    payload = {
        **work.payload,
        DIFFERING: ids,
        "marks": {name: asdict(mark) for name, mark in places.items()},
    }
    with work.transaction(is_last=True) as step:
        _record(work, step.connection, ids)
        mine = CHUNKS.c.run_id == work.asked.id, CHUNKS.c.number == work.claim.number
        step.connection.execute(update(CHUNKS).where(*mine).values(payload=payload))


def _after(work: Work) -> None:
    """Find what was forged since the comparison before, and report the corrections of this run above it."""
    before = _payload(work)
    if before is None:
        return
    forged: list[Forgery] = []
    with work.snapshot() as connection:
        for facts in _tables(work):
            known = set(before[DIFFERING].get(facts.name, ()))
            place = before["marks"].get(facts.name)
            mark = None if place is None else Mark(**place)
            found = marks.differing(connection, facts, read_columns(facts), mark, known)
            forged += [forgery for forgery in found if forgery.id not in known]
        used = list(_used(connection, work.asked.id, forged))
    ids: dict[str, list[int]] = {}
    for forgery in forged:
        ids.setdefault(forgery.table, []).append(forgery.id)
    with work.transaction(is_last=True) as step:
        _record(work, step.connection, ids)
        for figure, owner in used:
            step.item(figure, ITEM_FAILED, owner=owner, error=MEANWHILE)
        step.tally.failed = step.tally.checked = step.more = len(used)


def _tables(work: Work) -> list[Facts]:
    known = facts_by_table()
    return [known[name] for name in work.payload[COMPARED] if name in known]


def _record(work: Work, connection: Connection, ids: Mapping[str, Sequence[int]]) -> None:
    if not work.asked.dry_run:
        for name, rows in ids.items():
            settle(connection, facts_by_table()[name], rows, work.asked.id)


def _used(
    connection: Connection, run_id: int, forged: Sequence[Forgery]
) -> Iterator[tuple[str, int]]:
    """Figure and owner of this run's corrections that are derived from these rows."""
    own = CORRECTIONS.c
    for name, owners in building_on(connection, forged).items():
        figures = bundle_named(registry, name).figures
        mine = own.owner == any_(literal(sorted(owners), ARRAY(BigInteger)))
        of_figures = own.figure.in_([figure.name for figure in figures])
        corrected = select(own.figure, own.owner).where(own.run_id == run_id, of_figures, mine)
        yield from ((row.figure, row.owner) for row in connection.execute(corrected.distinct()))


def doubts(work: Work) -> Doubts:
    """Which owners this run skips; kept by the worker, so that it is asked once per run."""
    known: Doubts | None = work.learned.get(DIFFERING)
    if known is None:
        known = work.learned[DIFFERING] = _doubts(work)
    return known


def _doubts(work: Work) -> Doubts:
    before = _payload(work)
    if before is None:
        return Doubts()
    with work.snapshot() as connection:
        forged = [
            forgery
            for name, ids in before[DIFFERING].items()
            for forgery in facts_by_table()[name].forged(connection, ids)
        ]
        return Doubts(building_on(connection, forged))


def _payload(work: Work) -> Mapping[str, Any] | None:
    """What the comparison before has found; None where the run has none, or it failed."""
    found = select(CHUNKS.c.payload).where(
        CHUNKS.c.run_id == work.asked.id, CHUNKS.c.stage == 0, CHUNKS.c.payload.has_key(DIFFERING)
    )
    with work.engine.connect() as connection:
        payload: Mapping[str, Any] | None = connection.scalar(found.limit(1))
    return payload
