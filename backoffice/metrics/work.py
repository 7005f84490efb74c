"""Metrics of background work: waiting runs and their age, finished, failed and overdue runs."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, func, select, text
from sqlalchemy.orm import Session

from ..app.measures import Measure, Reading, Source
from ..base import table_of
from ..runs.models import DONE_WITH_FAILURES, FAILED, LIVE, QUEUED, RUNNING, Run, RunChunk, ready_at
from ..runs.turns import CLASSES, bulk_kinds, class_of, has_free_chunk, may_be_served
from ..schedules.queries import attendance, schedule_statuses

RUNS, CHUNKS = table_of(Run), table_of(RunChunk)

LIVE_RUNS = Measure("backoffice_runs_live", "Runs that have not finished.", ("status",))
QUEUE_AGE = Measure(
    "backoffice_run_queue_age_seconds", "Age of the oldest run that nobody has begun; 0: none."
)
OUTBOX = Measure("backoffice_run_outbox", "Runs that no worker has been told of yet.")
OUTBOX_AGE = Measure("backoffice_run_outbox_age_seconds", "Age of the oldest of these; 0: none.")
SILENT = Measure(
    "backoffice_run_silent_seconds",
    "For how long no worker has held anything of a run under way, the longest of them; 0: none.",
)
WAIT = Measure(
    "backoffice_run_wait_seconds",
    "For how long a run of the class has waited for its turn, the longest of them; 0: none waits.",
    ("class",),
)
RUNS_LAST_DAY = Measure(
    "backoffice_runs_last_day", "Runs that were asked for in the last 24 hours.", ("kind", "status")
)
SECONDS_LAST_DAY = Measure(
    "backoffice_run_seconds_last_day", "What the finished ones of these took together.", ("kind",)
)
LONGEST_LAST_DAY = Measure(
    "backoffice_run_longest_seconds_last_day", "What the longest of these took.", ("kind",)
)
FAILED_LAST_HOUR = Measure(
    "backoffice_runs_failed_last_hour",
    "Runs of the last 24 hours that have failed, or finished with failures, in the last hour.",
    ("kind",),
)
OVERDUE = Measure(
    "backoffice_schedule_overdue_seconds",
    "How long ago a schedule was due that was not started; 0: it was, or waits for another run.",
    ("schedule",),
)
SCHEDULERS = Measure("backoffice_schedulers", "Schedulers that are at work.")
LOOKED = Measure(
    "backoffice_scheduler_age_seconds",
    "How long ago a scheduler looked last what is due; +Inf: never.",
)


def _age(moment: Any) -> Any:
    return func.coalesce(func.extract("epoch", func.clock_timestamp() - moment), 0)


def _waiting(connection: Connection) -> Iterator[Reading]:
    """Readings of live runs only: a partial index covers them, however many have finished."""
    is_live, is_queued = RUNS.c.finished_at.is_(None), RUNS.c.status == QUEUED
    is_undelivered = (is_queued, RUNS.c.delivered_at.is_(None), ~RUNS.c.is_here)
    number = func.count().label("runs")
    rows = connection.execute(select(RUNS.c.status, number).where(is_live).group_by(RUNS.c.status))
    counts = {row.status: row.runs for row in rows}
    for status in LIVE:
        yield LIVE_RUNS.is_now(counts.get(status, 0), status)
    undelivered, queue, outbox = connection.execute(
        select(
            func.count().filter(*is_undelivered),
            _age(func.min(ready_at()).filter(is_queued)),
            _age(func.min(ready_at()).filter(*is_undelivered)),
        ).where(is_live)
    ).one()
    yield OUTBOX.is_now(undelivered)
    yield QUEUE_AGE.is_now(queue)
    yield OUTBOX_AGE.is_now(outbox)
    yield SILENT.is_now(max(0, connection.execute(select(_age(_longest_silence()))).scalar_one()))


def turns(connection: Connection) -> Iterator[Reading]:
    """For how long runs of each class have waited for their turn."""
    of_class, since = class_of().label("class"), func.greatest(RUNS.c.served_at, ready_at())
    waiting = select(of_class, _age(func.min(since)).label("age")).where(
        may_be_served(), has_free_chunk()
    )
    rows = connection.execute(waiting.group_by(of_class), {"bulk": bulk_kinds()})
    ages = {row[0]: row.age for row in rows}
    for name in CLASSES:
        yield WAIT.is_now(max(0, ages.get(name, 0)), name)


def _longest_silence() -> Any:
    """When a worker last held the run in progress that was abandoned longest ago."""
    last_held = func.greatest(RUNS.c.updated_at, func.max(CHUNKS.c.lease_until))
    of_each = (
        select(last_held.label("at"))
        .join_from(RUNS, CHUNKS, CHUNKS.c.run_id == RUNS.c.id, isouter=True)
        .where(RUNS.c.status == RUNNING, RUNS.c.finished_at.is_(None))
        .group_by(RUNS.c.id)
        .subquery()
    )
    return select(func.min(of_each.c.at)).scalar_subquery()


def _last_day(connection: Connection) -> Iterator[Reading]:
    took = func.extract("epoch", RUNS.c.finished_at - RUNS.c.started_at)
    has_failed = RUNS.c.status.in_((FAILED, DONE_WITH_FAILURES))
    is_fresh = RUNS.c.finished_at > func.now() - text("interval '1 hour'")
    rows = connection.execute(
        select(
            RUNS.c.kind, RUNS.c.status, func.count().label("runs"),
            func.coalesce(func.sum(took), 0).label("seconds"),
            func.coalesce(func.max(took), 0).label("longest"),
            func.sum(case((has_failed & is_fresh, 1), else_=0)).label("failed"),
        )
        .where(RUNS.c.created_at > func.now() - text("interval '1 day'"))
        .group_by(RUNS.c.kind, RUNS.c.status)
    ).all()  # fmt: skip
    for row in rows:
        yield RUNS_LAST_DAY.is_now(row.runs, row.kind, row.status)
    for kind in sorted({row.kind for row in rows}):
        own = [row for row in rows if row.kind == kind]
        yield SECONDS_LAST_DAY.is_now(sum(row.seconds for row in own), kind)
        yield LONGEST_LAST_DAY.is_now(max(row.longest for row in own), kind)
        yield FAILED_LAST_HOUR.is_now(sum(row.failed for row in own), kind)


def _overdue(connection: Connection) -> Iterator[Reading]:
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    with Session(connection) as session:
        for status in schedule_statuses(session, now):
            late = (now - status.due_at).total_seconds() if status.needs_attention else 0
            yield OVERDUE.is_now(late, status.schedule.name)
        present = attendance(session, now)
    looked_at = present.looked_at
    yield SCHEDULERS.is_now(present.at_work)
    yield LOOKED.is_now((now - looked_at).total_seconds() if looked_at else float("inf"))


SOURCES = (
    Source("waiting", (LIVE_RUNS, OUTBOX, QUEUE_AGE, OUTBOX_AGE, SILENT), _waiting),
    Source("turns", (WAIT,), turns),
    Source(
        "runs", (RUNS_LAST_DAY, SECONDS_LAST_DAY, LONGEST_LAST_DAY, FAILED_LAST_HOUR), _last_day
    ),
    Source("schedules", (OVERDUE, SCHEDULERS, LOOKED), _overdue),
)
