"""The relay: delivers queued runs to the workers, and repeats deliveries that were lost.

PostgreSQL holds the state of all work, Redis only transports it. A run is delivered when it has chunks that
no worker holds; a delivery that Redis lost is made again. A job of a run that has nothing left to do
ends at once, so that a duplicate delivery has no effect.
"""

from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from rq.job import JobStatus
from sqlalchemy import Connection, Engine, case, func, or_, select, text, update

from ..base import table_of
from .models import OPEN, QUEUED, RUNNING, Run, RunChunk, is_free, is_held
from .worker import deliver, job_id, queue

log = structlog.get_logger("backoffice.relay")

RUNS, CHUNKS = table_of(Run), table_of(RunChunk)

MOST_WORKERS = 8
"""The maximum of workers that one run occupies at a time."""

LOOK_AGAIN = text("interval '3 seconds'")
"""How long a delivery may seem to be untaken before it is checked again."""

TAKEN_OVER = text("interval '60 seconds'")
"""After how long a run that a command performs itself is presumed to have lost that command."""


def relay(engine: Engine, connection: Redis) -> int:
    """Deliver every run that has something to claim; returns the number of deliveries.

    Raises nothing where Redis is unreachable: what is not delivered is tried again.
    """
    due = _due(engine)
    if not due:
        return 0
    try:
        workers = max(Worker.count(queue=queue(connection)), 1)
        return sum(_deliver(engine, connection, run, workers) for run in due)
    except RedisError as error:
        log.warning(
            "redis does not take work; it is asked again", waiting=len(due), error=str(error)
        )
        return 0


def _due(engine: Engine) -> list[Any]:
    """Live runs with chunks that can be claimed, or that only need to be ended; oldest first."""
    held = is_held()
    mine = CHUNKS.c.run_id == RUNS.c.id
    free = select(func.count()).where(mine, CHUNKS.c.status == OPEN, is_free())
    working = select(func.count()).where(mine, CHUNKS.c.status == OPEN, held)
    long_ago = func.clock_timestamp() - case((RUNS.c.is_here, TAKEN_OVER), else_=LOOK_AGAIN)
    asked = func.coalesce(RUNS.c.delivered_at, RUNS.c.created_at)
    statement = (
        select(
            RUNS.c.id,
            RUNS.c.deliveries,
            RUNS.c.is_here,
            free.scalar_subquery().label("free"),
            working.scalar_subquery().label("working"),
        )
        .where(
            RUNS.c.finished_at.is_(None),
            RUNS.c.status.in_((QUEUED, RUNNING)),
            or_(
                (RUNS.c.deliveries == 0) & ~RUNS.c.is_here,
                asked < long_ago,
            ),
        )
        .order_by(RUNS.c.id)
        .limit(50)
    )
    with engine.connect() as connection:
        return [row for row in connection.execute(statement) if _is_due(row)]


def _is_due(run: Any) -> bool:
    """Whether a worker is needed; for a run that a command performs, only if it no longer holds a chunk."""
    return not run.working or bool(run.free and not run.is_here)


def _deliver(engine: Engine, connection: Redis, run: Any, workers: int) -> int:
    """Enqueue as many jobs as workers could use, less those already in the queue; returns how many."""
    useful = max(run.free + run.working, 1)
    wanted = min(workers, MOST_WORKERS, useful) - run.working
    waiting = sum(
        _waits(connection, run.id, number)
        for number in range(max(run.deliveries - MOST_WORKERS, 0) + 1, run.deliveries + 1)
    )
    numbers = range(run.deliveries + 1, run.deliveries + 1 + max(wanted - waiting, 0))
    with engine.begin() as database:
        if not _counted(database, run, len(numbers)):
            return 0  # another relay was faster
        for number in numbers:
            deliver(connection, run.id, number)
    return len(numbers)


def _counted(connection: Connection, run: Any, count: int) -> bool:
    mine = select(RUNS.c.id).where(RUNS.c.id == run.id, RUNS.c.deliveries == run.deliveries)
    # SKIP LOCKED: another transaction's lock on this run must not hold up the other runs.
    mine = mine.with_for_update(key_share=True, skip_locked=True)
    counted = (
        update(RUNS)
        .where(RUNS.c.id == mine.scalar_subquery())
        .values(deliveries=run.deliveries + count, delivered_at=func.clock_timestamp())
        .returning(RUNS.c.id)
    )
    return connection.execute(counted).first() is not None


def _waits(connection: Redis, run_id: int, number: int) -> bool:
    """Whether a delivery still waits for a worker."""
    line, name = queue(connection), job_id(run_id, number)
    job = line.fetch_job(name)
    is_queued = job is not None and job.get_status(refresh=False) == JobStatus.QUEUED
    return is_queued and line.get_job_position(name) is not None  # else its worker died at once
