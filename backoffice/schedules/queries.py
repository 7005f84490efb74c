"""The state of every schedule: its last due time and run, its next due time; and the running schedulers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..base import periods
from ..runs.kinds import kinds
from ..runs.models import Run
from .catalog import SCHEDULES, Schedule
from .models import KnownSchedule, Scheduler
from .rules import last_due, next_due

LATE_AFTER = timedelta(minutes=2)
"""A due time without a run after this long is overdue."""

STALE_AFTER = timedelta(minutes=1)
"""A scheduler that has not polled for this long counts as stopped."""

NOT_YET = "not yet"
MET = "met"
DUE = "due"
WAITS = "waits"
OVERDUE = "overdue"
SKIPPED = "skipped"
MISSED = "missed"


@dataclass(frozen=True)
class ScheduleStatus:
    """The state of a schedule.

    `state`: `not yet` (its first due time lies ahead), `met` (the last due time has its run, or
    a user has run it since), `due` (right now), `waits` and `skipped` (because of the run
    `held_by`), `overdue` (it can still start), `missed` (the grace period is over). `run` is its last
    run, whether a scheduler or a user requested it.
    """

    schedule: Schedule
    due_at: datetime
    next_at: datetime
    state: str
    run: Run | None
    held_by: int | None

    @property
    def is_quiet(self) -> bool:
        """Whether it is housekeeping."""
        return kinds()[self.schedule.kind].is_quiet

    @property
    def needs_attention(self) -> bool:
        """Whether a user should check why nothing was started."""
        return self.state in (OVERDUE, MISSED)


def schedule_statuses(
    session: Session, now: datetime, schedules: Sequence[Schedule] = SCHEDULES
) -> list[ScheduleStatus]:
    """The state of each schedule at `now`, in their order."""
    known = {row.name: row for row in session.scalars(select(KnownSchedule))}
    runs = _last_runs(session, [schedule.name for schedule in schedules])
    return [_status(s, known.get(s.name), runs.get(s.name), now) for s in schedules]


def _last_runs(session: Session, names: Sequence[str]) -> Mapping[str | None, Run]:
    """The last run of each; a run that a user requested and cancelled before it began does not count."""
    was_undone = Run.never_began & Run.due_at.is_(None)
    newest = select(func.max(Run.id)).where(Run.schedule.in_(names), ~was_undone)
    newest = newest.group_by(Run.schedule)
    return {run.schedule: run for run in session.scalars(select(Run).where(Run.id.in_(newest)))}


def _status(
    schedule: Schedule, known: KnownSchedule | None, run: Run | None, now: datetime
) -> ScheduleStatus:
    zone = periods.timezone()
    due_at, next_at = last_due(schedule.rule, now, zone), next_due(schedule.rule, now, zone)
    is_held = known is not None and known.held_due_at == due_at
    held_by = known.held_by if known is not None and is_held else None
    if run is not None and max(run.due_at or run.created_at, run.created_at) >= due_at:
        state = MET
    elif known is None or due_at <= known.known_since:
        state = NOT_YET
    elif now - due_at > schedule.grace:
        state = SKIPPED if is_held else MISSED
    elif is_held:
        state = WAITS
    else:
        state = OVERDUE if now - due_at > LATE_AFTER else DUE
    return ScheduleStatus(schedule, due_at, next_at, state, run, held_by)


@dataclass(frozen=True)
class Attendance:
    """The number of running schedulers, and when one last polled; None: never, or long ago."""

    at_work: int
    looked_at: datetime | None


def attendance(session: Session, now: datetime) -> Attendance:
    """The schedulers that are running at `now`."""
    at_work = func.count().filter(Scheduler.looked_at > now - STALE_AFTER)
    return Attendance(*session.execute(select(at_work, func.max(Scheduler.looked_at))).one())
