"""Request the runs that are due: a due time starts at most one run, however many schedulers poll.

`UNIQUE (schedule, due_at)` on the runs guarantees it, independent of clocks and of timing: every
request is a transaction of its own, and the second one for a due time finds that it is taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Engine, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..base import periods, table_of
from ..base.actor import acting_as
from ..runs import actions
from ..runs.errors import AlreadyRunning
from ..runs.models import Run
from .catalog import SCHEDULES, Schedule
from .models import KnownSchedule
from .rules import last_due

log = structlog.get_logger("backoffice.scheduler")

RUNS, KNOWN = table_of(Run), table_of(KnownSchedule)


def tick(engine: Engine, now: datetime, schedules: Sequence[Schedule] = SCHEDULES) -> list[int]:
    """Request a run of each schedule that is due at `now`; returns the runs' numbers.

    Of several due times that passed while no scheduler ran, only the last is started, and only within
    its grace. Where a run of the same kind and scope is live, it is started at a later tick,
    when that has ended; a schedule that was never seen before begins with its next due time.
    """
    started = []
    for schedule, due_at in _open(engine, now, schedules):
        try:
            run_id = _ask(engine, schedule, due_at)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            log.warning("schedule not started", schedule=schedule.name, error=str(error.orig))
            continue
        if run_id is not None:
            started.append(run_id)
    return started


def _open(
    engine: Engine, now: datetime, schedules: Sequence[Schedule]
) -> Iterator[tuple[Schedule, datetime]]:
    """The schedules that are due and have no run for that due time yet."""
    known = _known(engine, now, [schedule.name for schedule in schedules])
    zone = periods.timezone()
    due = {schedule.name: last_due(schedule.rule, now, zone) for schedule in schedules}
    worth = [s for s in schedules if due[s.name] > known[s.name] and now - due[s.name] <= s.grace]
    with engine.connect() as connection:
        pairs = [(schedule.name, due[schedule.name]) for schedule in worth]
        query = select(RUNS.c.schedule).where(tuple_(RUNS.c.schedule, RUNS.c.due_at).in_(pairs))
        taken = set(connection.scalars(query))
    yield from ((s, due[s.name]) for s in worth if s.name not in taken)


def _known(engine: Engine, now: datetime, names: Sequence[str]) -> Mapping[str, datetime]:
    """Since when each schedule is known; new ones are recorded as known from now on.

    A time in the future was written by a clock that has been set back since.
    """
    query = select(KNOWN.c.name, KNOWN.c.known_since).where(KNOWN.c.name.in_(names))
    with engine.begin() as connection:
        known = {row.name: row.known_since for row in connection.execute(query)}
        new = [name for name in names if name not in known or known[name] > now]
        if new:
            rows: list[dict[str, Any]] = [{"name": name, "known_since": now} for name in new]
            upsert = insert(KNOWN).values(sorted(rows, key=lambda row: str(row["name"])))
            earlier = func.least(KNOWN.c.known_since, upsert.excluded.known_since)
            connection.execute(
                upsert.on_conflict_do_update(
                    index_elements=[KNOWN.c.name], set_={"known_since": earlier}
                )
            )
    return known | dict.fromkeys(new, now)


def _ask(engine: Engine, schedule: Schedule, due_at: datetime) -> int | None:
    """Request the run of one due time; None when it is taken already, or has to wait."""
    with acting_as(f"schedule:{schedule.name}"), Session(engine) as session:
        try:
            with session.begin():
                run_id = actions.request(
                    session, schedule.kind, schedule.scope(due_at),
                    schedule=schedule.name, due_at=due_at,
                ).id  # fmt: skip
        except AlreadyRunning as refusal:
            _hold(session, schedule, due_at, refusal.run_id)
            return None
    log.info("schedule started", schedule=schedule.name, due_at=due_at.isoformat(), run=run_id)
    return run_id


def _hold(session: Session, schedule: Schedule, due_at: datetime, run_id: Any) -> None:
    """Record which run a due time waits for, once; nothing where it was taken by another scheduler."""
    taken = select(RUNS.c.id).where(RUNS.c.schedule == schedule.name, RUNS.c.due_at == due_at)
    is_news = or_(
        KNOWN.c.held_due_at.is_distinct_from(due_at), KNOWN.c.held_by.is_distinct_from(run_id)
    )
    record = (
        update(KNOWN)
        .where(KNOWN.c.name == schedule.name, is_news, ~taken.exists())
        .values(held_due_at=due_at, held_by=run_id)
        .returning(KNOWN.c.name)
    )
    with session.begin():
        is_recorded = session.scalar(record) is not None
    if is_recorded:
        log.warning(
            "schedule waits for a run of the same kind and scope",
            schedule=schedule.name,
            due_at=due_at.isoformat(),
            run=run_id,
            skipped_after=(due_at + schedule.grace).isoformat(),
        )
