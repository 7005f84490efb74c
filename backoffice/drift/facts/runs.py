"""The kind of run that verifies facts against the trail: rows in chunks, then events of deleted rows."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, func, select

from ...audit import marks
from ...audit.facts import EVENTS_AT_A_TIME, Facts, facts_by_table, last_event
from ...audit.marks import Mark
from ...base import N_
from ...runs.kinds import RunKind
from ...runs.models import CHUNK_DONE
from ...runs.work import CHUNKS, RUNS, Asked, Chunk, Work
from ..findings import check
from .findings import counted, name_of, open_ids, settle

MARKS = "marks"
"""In a chunk's payload: the marks that hold once the whole verification is done."""

FIRST, LAST = -(2**63), 2**63 - 1
"""The bounds of the first and the last chunk, so that rows of any id are in one."""


def chosen(scope: Mapping[str, Any]) -> list[Facts]:
    """The facts in a scope: those of its `tables`, else all."""
    known = facts_by_table()
    return [known[table] for table in scope.get("tables") or known if table in known]


def _plan(connection: Connection, asked: Asked) -> Iterator[Chunk]:
    tables = chosen(asked.scope)
    begun = marks.begun(connection, tables)  # before any row is read
    yield Chunk({MARKS: {name: asdict(mark) for name, mark in begun.items()}})
    for facts in tables:
        yield from _chunks(connection, facts)
    last = last_event(connection)
    for low in range(0, last + 1, EVENTS_AT_A_TIME):
        yield Chunk({"after": low, "until": low + EVENTS_AT_A_TIME})


def _chunks(connection: Connection, facts: Facts) -> Iterator[Chunk]:
    """The table's rows in chunks; the last one extends to the highest possible id."""
    low, page = FIRST, facts.next_ids(connection, FIRST)
    while page is not None:
        end, count = page
        page = facts.next_ids(connection, end)
        high = LAST if page is None else end
        yield Chunk({"table": facts.name, "low": low, "high": high}, count)
        low = end + 1
    if low == FIRST:  # no row left; findings of deleted rows are still examined
        yield Chunk({"table": facts.name, "low": FIRST, "high": LAST})


def _work(work: Work) -> None:
    """Compare in one snapshot; record in another transaction what still differs then."""
    if MARKS in work.payload:
        return
    suspected: dict[str, set[int]] = {}
    with work.snapshot() as connection:
        if "table" in work.payload:
            facts = facts_by_table()[work.payload["table"]]
            low, high = work.payload["low"], work.payload["high"]
            ids = set(facts.ids_between(connection, low, high))
            suspected[facts.name] = {forgery.id for forgery in facts.forged(connection, ids)}
            suspected[facts.name] |= open_ids(connection, facts.name, low, high)
        else:
            low, high = work.payload["after"] + 1, work.payload["until"]
            for facts in chosen(work.asked.scope):
                gone = facts.gone(connection, low, high)
                suspected[facts.name] = {forgery.id for forgery in facts.forged(connection, gone)}
    with work.transaction(is_last=True) as step:
        for table, ids in suspected.items():
            settle(step.connection, facts_by_table()[table], ids, work.asked.id)


def _finish(connection: Connection, asked: Asked) -> Mapping[str, Any]:
    """Record the verification of every table, and return how many of its rows differ now."""
    run = connection.execute(select(RUNS.c.started_at).where(RUNS.c.id == asked.id)).one()
    took = func.extract("epoch", func.clock_timestamp() - run.started_at) * 1000
    tables = [facts.name for facts in chosen(asked.scope)]
    rows = _compared(connection, asked)
    if _is_whole(connection, asked):
        verified = {name_of(table): rows.get(table, 0) for table in tables}
        check(connection, verified, verified_at=run.started_at, milliseconds=took, run_id=asked.id)
        marks.record(connection, _begun(connection, asked))
    found = counted(connection, tables)
    return {"found": sum(found.values()), "rows": rows, "forged": dict(found)}


def _begun(connection: Connection, asked: Asked) -> dict[str, Mark]:
    """The marks with which the verification began."""
    begun = CHUNKS.c.payload.has_key(MARKS)
    chunk = select(CHUNKS.c.payload[MARKS]).where(CHUNKS.c.run_id == asked.id, begun)
    return {name: Mark(**mark) for name, mark in connection.execute(chunk).scalar_one().items()}


def _compared(connection: Connection, asked: Asked) -> dict[str, int]:
    table = CHUNKS.c.payload["table"].astext
    rows = select(table, func.sum(CHUNKS.c.size)).where(
        CHUNKS.c.run_id == asked.id, CHUNKS.c.status == CHUNK_DONE, table.is_not(None)
    )
    return {name: int(size) for name, size in connection.execute(rows.group_by(table))}


def _is_whole(connection: Connection, asked: Asked) -> bool:
    """Whether every chunk was done, and this is not a retry of what an earlier run had left."""
    undone = select(CHUNKS.c.number).where(
        CHUNKS.c.run_id == asked.id, CHUNKS.c.status != CHUNK_DONE
    )
    return "retry" not in asked.scope and connection.execute(undone.limit(1)).first() is None


VERIFY_FACTS = RunKind(
    "audit.facts", N_("Verify facts against the audit trail"), "figures.heal",
    _plan, _work, _finish,
)  # fmt: skip

KINDS = (VERIFY_FACTS,)
