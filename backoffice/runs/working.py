"""Perform a run's chunks: claimed by any number of workers, each transaction under the fence of its claim.

A claim is a short transaction of its own. Every transaction of a chunk first locks the chunk's row
and checks that its fence is still valid, so that no other worker takes the chunk over while it works and a
worker that was overtaken writes nothing. A transaction that its process has abandoned is ended by
PostgreSQL when the lease expires.
"""

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import structlog
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Row,
    Update,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    update,
)

from ..base.actor import acting_as
from ..base.trouble import Trouble
from ..database import statistics
from ..database.outages import database_error_of
from .ending import end_if_done, in_a_line
from .errors import Fenced
from .kinds import RunKind, kinds, nothing_again
from .models import (
    CHUNK_DONE,
    CHUNK_FAILED,
    ITEM_FAILED,
    OPEN,
    PLAN_STAGE,
    QUEUED,
    RUNNING,
)
from .turns import next_run, serve
from .work import (
    CHUNKS,
    ITEMS,
    MINE,
    RUNS,
    Asked,
    Chunk,
    ClaimedChunk,
    Pace,
    Work,
    ended_when_idle,
    seconds_of,
)

log = structlog.get_logger("backoffice.runs")


LEASE_SECONDS = 30.0
"""How long a claim is valid without a heartbeat; then any worker may take the chunk over."""

TRIES = 4
"""Attempts at a chunk before it counts as failed."""

FIRST_REST = 2.0
"""Seconds before a failed chunk is tried again; twice as many before each further try, up to `LONGEST_REST`."""

LONGEST_REST = 10.0

MOST_CLAIMS = 12
"""The maximum of claims of a chunk: a worker that dies cannot record that it has failed."""

LONGEST_LEASE = 4
"""The maximum number of times that the lease is doubled."""

PATIENCE_SECONDS = 1.0
"""How long a worker waits for others to finish a stage before it turns to other work."""

SHORTLY = 0.05
"""Seconds between two looks whether there is something to claim."""


def _lease(seconds: ColumnElement[float], attempts: ColumnElement[int]) -> ColumnElement[float]:
    """Seconds for which a claim is valid after so many attempts."""
    return seconds * func.power(2, func.least(attempts, LONGEST_LEASE))


def myself() -> str:
    """The name of this worker in the chunks that it has claimed."""
    return f"{socket.gethostname()}:{os.getpid()}"


def asked_of(connection: Connection, run_id: int) -> Asked | None:
    """The request of a run; None where the run is unknown."""
    row = connection.execute(select(RUNS).where(RUNS.c.id == run_id)).mappings().first()
    if row is None:
        return None
    return Asked(**{name: row[name] for name in Asked.__dataclass_fields__})


@dataclass(frozen=True)
class Performance:
    """A run that this process performs, with what it has learned in earlier chunks of it."""

    engine: Engine
    kind: RunKind
    asked: Asked
    pace: Pace
    lease: float
    learned: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def _in_its_name(self) -> Iterator[None]:
        bound = structlog.contextvars.bound_contextvars(run=self.asked.id)
        with acting_as(self.asked.requested_by), bound:
            yield

    def turn(self) -> bool:
        """Do one chunk; false where none can be claimed at the moment."""
        with self._in_its_name():
            claim = _claim(self.engine, self.asked.id, self.lease)
            if claim is not None:
                _do(
                    self.kind,
                    self.asked,
                    Work(self.engine, self.asked, claim, self.pace, self.learned),
                )
        return claim is not None

    def end(self) -> bool:
        """End the run if it is done; returns whether it has ended."""
        with self._in_its_name():
            return end_if_done(self.engine, self.kind, self.asked)


def _performance(
    engine: Engine, run_id: int, stopping: Callable[[], bool], lease: float
) -> Performance | None:
    with engine.connect() as connection:
        asked = asked_of(connection, run_id)
    if asked is None or asked.kind not in kinds():
        log.error("run not performed", run=run_id, reason="unknown run or kind")
        return None
    return Performance(engine, kinds()[asked.kind], asked, Pace(asked.is_paced, stopping), lease)


def perform(
    engine: Engine,
    run_id: int,
    *,
    stopping: Callable[[], bool] = lambda: False,
    seconds: float = float("inf"),
    lease: float = LEASE_SECONDS,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Work on a run until nothing of it can be claimed, for about `seconds`, then end it if it is done.

    A chunk that was begun is finished even if `stopping` returns true.
    """
    run = _performance(engine, run_id, stopping, lease)
    if run is None:
        return
    end, patience = time.monotonic() + seconds, time.monotonic() + PATIENCE_SECONDS
    while not stopping() and time.monotonic() < end:
        if run.turn():
            progress()
            patience = time.monotonic() + PATIENCE_SECONDS
        elif run.end() or time.monotonic() > patience:
            return
        else:  # another worker does the last chunk of a stage
            time.sleep(SHORTLY)
    run.end()


def perform_in_turns(
    engine: Engine,
    run_id: int,
    *,
    stopping: Callable[[], bool],
    seconds: float,
    lease: float = LEASE_SECONDS,
) -> None:
    """Work for about `seconds`, after each chunk on the run whose turn it is; `run_id` only woke this worker.

    It returns when no run can be served, and that one has ended or others do its last chunks.
    """
    own = _performance(engine, run_id, stopping, lease)
    if own is None:
        return
    runs: dict[int, Performance | None] = {run_id: own}
    locked: set[int] = (
        set()
    )  # runs that another transaction holds, until this worker has done something else
    end, patience = time.monotonic() + seconds, time.monotonic() + PATIENCE_SECONDS
    while not stopping() and time.monotonic() < end:
        chosen = next_run(engine, locked)
        if chosen is None:
            if own.end() or time.monotonic() > patience:
                return
            locked.clear()
            time.sleep(SHORTLY)
            continue
        run = runs.get(chosen) or _performance(engine, chosen, stopping, lease)
        runs[chosen] = run
        if run is None or not (run.turn() or run.end()):
            locked.add(chosen)
            continue
        locked.clear()
        patience = time.monotonic() + PATIENCE_SECONDS
    own.end()


@cache
def _next_chunk() -> Update:
    """Claims the next free chunk of `run` for `claimant`, for `lease` seconds at the first attempt.

    Built once: each chunk begins with it, and building it takes as long as executing it.
    """
    run, lease = bindparam("run", type_=BigInteger), bindparam("lease", type_=Float)
    mine = CHUNKS.alias("mine")
    is_free = or_(mine.c.lease_until.is_(None), mine.c.lease_until < func.clock_timestamp())
    stage = select(func.min(CHUNKS.c.stage)).where(CHUNKS.c.run_id == run, CHUNKS.c.status == OPEN)
    allowed = select(RUNS.c.id).where(
        RUNS.c.id == run, RUNS.c.status.in_((QUEUED, RUNNING)), RUNS.c.cancelled_by == ""
    )
    chosen = (
        select(mine.c.number)
        .where(
            mine.c.run_id == run, mine.c.status == OPEN, is_free,
            mine.c.stage == stage.scalar_subquery(), allowed.exists(),
        )
        .order_by(mine.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )  # fmt: skip
    return (
        update(CHUNKS)
        .where(CHUNKS.c.run_id == run, CHUNKS.c.number == chosen.scalar_subquery())
        .values(
            fence=CHUNKS.c.fence + 1,
            attempts=CHUNKS.c.attempts + 1,
            worker=bindparam("claimant"),
            lease_until=func.clock_timestamp() + seconds_of(_lease(lease, CHUNKS.c.attempts)),
        )
        .returning(
            *(CHUNKS.c[name] for name in ClaimedChunk.__dataclass_fields__ if name != "lease"),
            # RETURNING sees the updated row, which counts this attempt already.
            _lease(lease, CHUNKS.c.attempts - 1).label("lease"),
            ended_when_idle(),
        )
    )


def _claim(engine: Engine, run_id: int, lease: float) -> ClaimedChunk | None:
    """Claim the next free chunk, under a new fence; None when there is none at the moment."""
    values = {"run": run_id, "claimant": myself(), "lease": lease}
    with engine.begin() as connection:
        row = connection.execute(_next_chunk(), values).mappings().first()
        if row is None:
            return None
        connection.execute(serve(), {"run": run_id})
        if row["attempts"] > MOST_CLAIMS:  # its workers died: the chunk may be the cause
            _give_up(connection, run_id, row["number"])
    if row["attempts"] > MOST_CLAIMS:
        return _claim(engine, run_id, lease)
    return ClaimedChunk(**{name: row[name] for name in ClaimedChunk.__dataclass_fields__})


def _give_up(connection: Connection, run_id: int, number: int) -> None:
    connection.execute(
        update(CHUNKS)
        .where(CHUNKS.c.run_id == run_id, CHUNKS.c.number == number)
        .values(
            status=CHUNK_FAILED, lease_until=None, **_all_left_failed(),
            error=f"Given up: it was begun {MOST_CLAIMS} times and never finished.",
        )
    )  # fmt: skip


def _all_left_failed() -> dict[str, ColumnElement[int]]:
    """The counters of a chunk that is given up: all items that are left count as failed."""
    rest = func.greatest(CHUNKS.c.size - CHUNKS.c.checked, 1)
    return {"failed": CHUNKS.c.failed + rest, "checked": CHUNKS.c.checked + rest}


def _do(kind: RunKind, asked: Asked, work: Work) -> None:
    """Do one chunk; an error is recorded, and never ends the worker."""
    try:
        if work.claim.stage == PLAN_STAGE:
            _plan(kind, asked, work)
        else:
            kind.work(work)
            if not work.is_done:
                with work.transaction(is_last=True):
                    pass
    except Fenced:
        log.warning("chunk taken over by another worker", chunk=work.claim.number)
    except Exception as error:
        cause = database_error_of(error)
        is_lost = cause is not None and cause.connection_invalidated
        if is_lost:
            log.warning("connection lost within a chunk", chunk=work.claim.number, error=str(error))
            time.sleep(0.5)
        else:
            told = {"chunk": work.claim.number, "attempt": work.claim.attempts}
            if isinstance(error, Trouble):
                log.error("chunk failed", error=str(error), **told)
            else:
                log.exception("chunk failed", **told)
        _release(work, error, counts=not is_lost)
    except (KeyboardInterrupt, SystemExit) as end:  # a command was stopped: free for others at once
        _release(work, end, counts=False)
        raise


def _plan(kind: RunKind, asked: Asked, work: Work) -> None:
    """Plan the run's chunks, all of them or none."""
    statistics.refresh(work.engine)
    with work.transaction(is_last=True) as step:
        step.add(_planned(kind, asked, step.connection))
        step.connection.execute(
            update(RUNS)
            .where(RUNS.c.id == asked.id, RUNS.c.finished_at.is_(None))
            .values(
                status=RUNNING,
                total=func.coalesce(RUNS.c.total, 0),
                started_at=func.coalesce(RUNS.c.started_at, func.now()),
                updated_at=func.now(),
            )
        )


def _planned(kind: RunKind, asked: Asked, connection: Connection) -> Iterable[Chunk]:
    asked.check_digest(connection)
    earlier = int(asked.scope["retry"]) if "retry" in asked.scope else None
    if earlier is None or not _was_planned(connection, earlier):
        return kind.plan(connection, asked)
    failed = select(ITEMS).where(ITEMS.c.run_id == earlier, ITEMS.c.outcome == ITEM_FAILED)
    items: Sequence[Row[*tuple[Any, ...]]] = connection.execute(failed.order_by(ITEMS.c.id)).all()
    if items and kind.again is nothing_again:
        return kind.plan(connection, asked)
    return [*_left_of(connection, earlier), *(kind.again(items) if items else ())]


def _was_planned(connection: Connection, run_id: int) -> bool:
    plan = select(CHUNKS.c.number).where(
        CHUNKS.c.run_id == run_id, CHUNKS.c.stage == PLAN_STAGE, CHUNKS.c.status != CHUNK_DONE
    )
    return connection.execute(plan).first() is None


def _left_of(connection: Connection, earlier: int) -> Iterable[Chunk]:
    """The chunks that an earlier run left undone."""
    left = select(CHUNKS.c.payload, CHUNKS.c.size, CHUNKS.c.stage).where(
        CHUNKS.c.run_id == earlier, CHUNKS.c.status != CHUNK_DONE, CHUNKS.c.stage != PLAN_STAGE
    )
    return [Chunk(*row) for row in connection.execute(left.order_by(CHUNKS.c.number))]


def _release(work: Work, error: BaseException, *, counts: bool) -> None:
    """Give the chunk back for another try; after the last one that `counts` it has failed."""
    gave_up = counts and work.claim.attempts >= TRIES
    rest = min(FIRST_REST * 2 ** (work.claim.attempts - 1), LONGEST_REST)
    lease = func.clock_timestamp() + seconds_of(rest)
    values = {
        "error": in_a_line(error),
        "status": CHUNK_FAILED if gave_up else OPEN,
        "lease_until": case((literal(gave_up), None), else_=lease),
    }
    if gave_up:
        values |= _all_left_failed()
    with work.engine.begin() as connection:
        connection.execute(update(CHUNKS).where(*MINE).values(values), work.claimed)
