"""The end of a run: its last transaction records in PostgreSQL that it is done."""

from typing import Any

import structlog
from sqlalchemy import Connection, Engine, delete, func, select, update

from ..base.trouble import Trouble
from .kinds import RunKind
from .models import (
    CANCELLED,
    CHUNK_DONE,
    CHUNK_FAILED,
    COMPLETED,
    COUNTERS,
    DONE,
    DONE_WITH_FAILURES,
    FAILED,
    OPEN,
    is_held,
)
from .work import CHUNKS, RUNS, Asked, give_up_when_idle

log = structlog.get_logger("backoffice.runs")


def end_if_done(engine: Engine, kind: RunKind, asked: Asked) -> bool:
    """End the run when every chunk is done or failed, or it was cancelled and no worker holds a chunk.

    Returns whether it has ended; false also where another transaction holds it, perhaps to end it.
    """
    with engine.begin() as connection:
        give_up_when_idle(connection)
        mine = select(RUNS).where(RUNS.c.id == asked.id)
        mine = mine.with_for_update(key_share=True, skip_locked=True)
        run = connection.execute(mine).mappings().first()
        if run is None:
            return False
        if run["finished_at"] is not None:
            return True
        chunks = _chunks(connection, asked.id)
        is_cancelled = bool(run["cancelled_by"]) and chunks["open"] > 0
        if _is_at_work(connection, asked.id, chunks) if is_cancelled else chunks["open"]:
            return False
        status = CANCELLED if is_cancelled else _status(run, chunks)
        values = _counted(chunks)
        if status in COMPLETED:
            status = _finish(connection, kind, asked, status, values)
        _record_end(connection, asked.id, {**values, "status": status})
    reported = {name: values[name] for name in COUNTERS}
    log.info("run ended", kind=asked.kind, status=status, **reported)
    return True


def end_cancelled(connection: Connection, run_id: int) -> None:
    """End a run that was begun and then cancelled, if no worker holds a chunk of it. Its row must be locked."""
    chunks = _chunks(connection, run_id)
    if chunks["open"] and not _is_at_work(connection, run_id, chunks):
        _record_end(connection, run_id, {**_counted(chunks), "status": CANCELLED})


def _counted(chunks: Any) -> dict[str, Any]:
    """The counters and the error of a run, from its chunks."""
    return {**{name: int(chunks[name]) for name in COUNTERS}, "error": chunks["error"] or ""}


def _record_end(connection: Connection, run_id: int, values: dict[str, Any]) -> None:
    ended = {"updated_at": func.now(), "finished_at": func.now()}
    connection.execute(update(RUNS).where(RUNS.c.id == run_id).values(values | ended))
    connection.execute(
        delete(CHUNKS).where(CHUNKS.c.run_id == run_id, CHUNKS.c.status == CHUNK_DONE)
    )


def _is_at_work(connection: Connection, run_id: int, chunks: Any) -> bool:
    """Whether a worker holds an open chunk: by its lease, or by its lock past its lease."""
    mine = select(CHUNKS.c.number).where(CHUNKS.c.run_id == run_id, CHUNKS.c.status == OPEN)
    free = connection.execute(mine.with_for_update(skip_locked=True)).all()
    return bool(chunks["working"]) or len(free) < chunks["open"]


def _finish(
    connection: Connection, kind: RunKind, asked: Asked, status: str, values: dict[str, Any]
) -> str:
    """Record the run's result and return its status; where the kind's `finish` fails, the run fails with that error."""
    try:
        with connection.begin_nested():
            values["result"] = dict(kind.finish(connection, asked))
    except Exception as error:
        log.exception("run could not be ended", run=asked.id)
        values["error"] = in_a_line(error)
        return FAILED
    return status


def in_a_line(error: BaseException) -> str:
    """The error in one line, for the row of a run or a chunk."""
    kind = "" if isinstance(error, Trouble) else f"{type(error).__name__}: "
    return f"{kind}{error}".splitlines()[0][:1000]


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
