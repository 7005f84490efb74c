"""The end of a run: in its own last transaction, in PostgreSQL, it says that it is done."""

from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Connection, Engine, delete, func, select, update

from ..base import table_of
from .kinds import Kind
from .models import (
    CANCELLED,
    DONE,
    DONE_WITH_FAILURES,
    FAILED,
    OPEN,
    Run,
    RunChunk,
)

if TYPE_CHECKING:
    from .working import Asked

log = structlog.get_logger("backoffice.runs")

RUNS, CHUNKS = table_of(Run), table_of(RunChunk)
COUNTERS = ("checked", "changed", "unchanged", "skipped", "failed")


def end_if_done(engine: Engine, kind: Kind, asked: "Asked") -> bool:
    """End the run when every chunk is done or has failed, or it was cancelled and nobody works on it."""
    with engine.begin() as connection:
        run = (
            connection.execute(select(RUNS).where(RUNS.c.id == asked.id).with_for_update())
            .mappings()
            .one()
        )
        if run["finished_at"] is not None:
            return True
        chunks = _chunks(connection, asked.id)
        is_cancelled = bool(run["cancelled_by"])
        if chunks["working"] if is_cancelled else chunks["open"]:
            return False
        status = _status(run, chunks) if not (is_cancelled and chunks["open"]) else CANCELLED
        values: dict[str, Any] = {name: int(chunks[name]) for name in COUNTERS}
        if status in (DONE, DONE_WITH_FAILURES):
            values["result"] = dict(kind.finish(connection, asked))
        connection.execute(
            update(RUNS)
            .where(RUNS.c.id == asked.id)
            .values(
                **values, status=status, error=chunks["error"] or "",
                updated_at=func.now(), finished_at=func.now(),
            )
        )  # fmt: skip
        connection.execute(
            delete(CHUNKS).where(CHUNKS.c.run_id == asked.id, CHUNKS.c.status == "done")
        )
    log.info("run ended", kind=asked.kind, status=status, **values)
    return True


def _status(run: Any, chunks: Any) -> str:
    if run["started_at"] is None:
        return FAILED  # it could not even be planned
    if chunks["broken"]:
        return DONE_WITH_FAILURES if chunks["finished"] > 1 else FAILED
    return DONE_WITH_FAILURES if chunks["failed"] else DONE


def _chunks(connection: Connection, run_id: int) -> Any:
    is_open = CHUNKS.c.status == OPEN
    held = CHUNKS.c.lease_until > func.clock_timestamp()
    sums = (func.coalesce(func.sum(CHUNKS.c[name]), 0).label(name) for name in COUNTERS)
    statement = select(
        func.count().filter(is_open).label("open"),
        func.count().filter(is_open, held).label("working"),
        func.count().filter(CHUNKS.c.status == "failed").label("broken"),
        func.count().filter(CHUNKS.c.status == "done").label("finished"),
        func.max(CHUNKS.c.error).filter(CHUNKS.c.status == "failed").label("error"),
        *sums,
    ).where(CHUNKS.c.run_id == run_id)
    return connection.execute(statement).mappings().one()
