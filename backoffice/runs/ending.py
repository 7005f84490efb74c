"""The end of a run: in its own last transaction, in PostgreSQL, it says that it is done."""

from typing import Any

import structlog
from sqlalchemy import Connection, Engine, delete, func, select, update

from .kinds import Kind
from .models import (
    CANCELLED,
    CHUNK_DONE,
    CHUNK_FAILED,
    COUNTERS,
    DONE,
    DONE_WITH_FAILURES,
    FAILED,
    OPEN,
    is_held,
)
from .work import CHUNKS, RUNS, Asked, give_up_when_idle

log = structlog.get_logger("backoffice.runs")


def end_if_done(engine: Engine, kind: Kind, asked: Asked) -> bool:
    """End the run when every chunk is done or has failed, or it was cancelled and nobody works on it."""
    with engine.begin() as connection:
        give_up_when_idle(connection)
        mine = select(RUNS).where(RUNS.c.id == asked.id)
        run = connection.execute(mine.with_for_update(key_share=True)).mappings().one()
        if run["finished_at"] is not None:
            return True
        chunks = _chunks(connection, asked.id)
        is_cancelled = bool(run["cancelled_by"]) and chunks["open"] > 0
        if _is_at_work(connection, asked.id, chunks) if is_cancelled else chunks["open"]:
            return False
        status = CANCELLED if is_cancelled else _status(run, chunks)
        values: dict[str, Any] = {name: int(chunks[name]) for name in COUNTERS}
        values["error"] = chunks["error"] or ""
        if status in (DONE, DONE_WITH_FAILURES):
            status = _finish(connection, kind, asked, status, values)
        values |= {"status": status, "updated_at": func.now(), "finished_at": func.now()}
        connection.execute(update(RUNS).where(RUNS.c.id == asked.id).values(values))
        connection.execute(
            delete(CHUNKS).where(CHUNKS.c.run_id == asked.id, CHUNKS.c.status == CHUNK_DONE)
        )
    told = {name: values[name] for name in COUNTERS}
    log.info("run ended", kind=asked.kind, status=status, **told)
    return True


def _is_at_work(connection: Connection, run_id: int, chunks: Any) -> bool:
    """Whether somebody holds an open chunk: by its lease, or by its lock past its lease."""
    mine = select(CHUNKS.c.number).where(CHUNKS.c.run_id == run_id, CHUNKS.c.status == OPEN)
    free = connection.execute(mine.with_for_update(skip_locked=True)).all()
    return bool(chunks["working"]) or len(free) < chunks["open"]


def _finish(
    connection: Connection, kind: Kind, asked: Asked, status: str, values: dict[str, Any]
) -> str:
    """Say what came of the run; where the kind cannot say it, the run has failed, and says why."""
    try:
        with connection.begin_nested():
            values["result"] = dict(kind.finish(connection, asked))
    except Exception as error:
        log.exception("run could not be ended", run=asked.id)
        values["error"] = in_a_line(error)
        return FAILED
    return status


def in_a_line(error: BaseException) -> str:
    """What went wrong, for the row of a run or a chunk."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:1000]


def _status(run: Any, chunks: Any) -> str:
    if run["started_at"] is None:
        return FAILED  # it could not even be planned
    if chunks["broken"]:
        return DONE_WITH_FAILURES if chunks["finished"] > 1 else FAILED
    return DONE_WITH_FAILURES if chunks["failed"] else DONE


def _chunks(connection: Connection, run_id: int) -> Any:
    is_open = CHUNKS.c.status == OPEN
    sums = (func.coalesce(func.sum(CHUNKS.c[name]), 0).label(name) for name in COUNTERS)
    statement = select(
        func.count().filter(is_open).label("open"),
        func.count().filter(is_open, is_held()).label("working"),
        func.count().filter(CHUNKS.c.status == CHUNK_FAILED).label("broken"),
        func.count().filter(CHUNKS.c.status == CHUNK_DONE).label("finished"),
        func.max(CHUNKS.c.error).filter(CHUNKS.c.status == CHUNK_FAILED).label("error"),
        *sums,
    ).where(CHUNKS.c.run_id == run_id)
    return connection.execute(statement).mappings().one()
