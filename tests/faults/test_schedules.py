"""Two schedulers, clocks that change, missed hours: each due time at most once. FAULTS.md, lines 33, 40–42."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from backoffice.app.extensions import db
from backoffice.base import periods
from backoffice.runs.models import DONE, Run
from backoffice.schedules import ticking
from backoffice.schedules.catalog import SCHEDULES, Schedule
from backoffice.schedules.rules import EveryMinutes, due_times
from backoffice.schedules.ticking import tick
from tests.depth import examples
from tests.processes import barrier, together

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

SIMULATED = [s for s in SCHEDULES if not isinstance(s.rule, EveryMinutes)]
"""Without those that are due every few minutes: a week of them takes minutes, so they are tried over some hours."""

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def due(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    return list(due_times(schedule.rule, start, end, periods.timezone()))


def runs_of_schedules() -> list[tuple[str | None, datetime | None]]:
    rows = db.session.execute(select(Run.schedule, Run.due_at).order_by(Run.schedule, Run.due_at))
    found = [(row.schedule, row.due_at) for row in rows]
    db.session.rollback()
    return found


def everything_ends() -> None:
    live = Run.finished_at.is_(None)
    db.session.execute(update(Run).where(live).values(status=DONE, finished_at=func.now()))
    db.session.commit()


def scheduling(
    schedules: list[Schedule], moments: list[datetime], together_at: Barrier, late: timedelta
) -> int:
    """Run one scheduler, with its clock ahead by `late`, through `moments`; returns the number of runs it started."""
    started = 0
    for moment in moments:
        together_at.wait()
        started += len(tick(db.engine, moment + late, schedules))
        if together_at.wait() == 0:
            everything_ends()
    return started


def two_schedulers(app: Flask, schedules: list[Schedule], start: datetime, end: datetime) -> None:
    """Both poll at every moment at once, and at some between; every due time has exactly one run."""
    expected = {(s.name, moment) for s in schedules for moment in due(s, start, end)}
    seeded = random.Random(7)
    rests = [start + seeded.random() * (end - start) for _ in range(examples(40))]
    moments = sorted({start, *rests, *(moment for _, moment in expected)})
    both = barrier(2)
    counts = together(
        app,
        lambda: scheduling(schedules, moments, both, timedelta(0)),
        lambda: scheduling(schedules, moments, both, SECOND),
        seconds=240,
    )
    found = runs_of_schedules()
    assert len(found) == len(set(found)) == sum(counts)
    assert set(found) == expected
    assert min(counts) > 0  # both started some


def here(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=periods.timezone()).astimezone(UTC)


@pytest.mark.parametrize(
    ("zone", "first_day", "days"),
    [
        ("Europe/Berlin", "2026-03-26", 7),  # 02:00 is skipped on the 29th
        ("Europe/Berlin", "2026-10-24", 2),  # 02:00 comes twice on the 25th
        ("Australia/Lord_Howe", "2027-04-03", 2),  # 01:30 comes twice on 4 April
    ],
)
def test_two_schedulers_over_days_of_clock_changes_start_every_due_time_once(
    app: Flask, session: Any, means: Callable[..., None], zone: str, first_day: str, days: int
) -> None:
    means(timezone=zone)
    start = here(first_day)
    two_schedulers(app, SIMULATED, start, start + days * DAY + timedelta(hours=3))


def test_what_is_due_every_few_minutes_goes_on_while_clocks_change(
    app: Flask, session: Any, means: Callable[..., None]
) -> None:
    means(timezone="Europe/Berlin")
    often = [schedule for schedule in SCHEDULES if schedule not in SIMULATED]
    start = here("2026-10-25T00:30")
    two_schedulers(app, often, start, start + timedelta(hours=5))


def test_many_schedulers_that_look_at_the_same_moment_start_one_run(
    app: Flask, session: Any
) -> None:
    nightly = [schedule for schedule in SCHEDULES if schedule.name == "balance-verify-sync"]
    now = datetime(2026, 11, 20, 19, tzinfo=UTC)
    tick(db.engine, now - DAY, nightly)
    all_of_them = barrier(6)

    def one() -> int:
        all_of_them.wait()
        return sum(len(tick(db.engine, now + n * SECOND, nightly)) for n in range(5))

    assert sum(together(app, *[one] * 6)) == 1


def test_it_is_the_unique_key_that_lets_only_one_through(
    app: Flask, session: Any, owner_connection: Any
) -> None:
    """A scheduler that polled before another one had requested; without the key it starts a second run."""
    (nightly,) = [schedule for schedule in SCHEDULES if schedule.name == "balance-verify-sync"]
    now = datetime(2026, 11, 20, 19, tzinfo=UTC)
    tick(db.engine, now - DAY, [nightly])

    def ask() -> int | None:
        run_id = ticking._ask(db.engine, nightly, now)
        everything_ends()
        return run_id

    assert ask() is not None
    assert ask() is None
    owner_connection.execute("ALTER TABLE runs DROP CONSTRAINT uq_runs_schedule_due_at")
    try:
        assert ask() is not None
    finally:
        owner_connection.execute("DELETE FROM runs")
        owner_connection.execute(
            "ALTER TABLE runs ADD CONSTRAINT uq_runs_schedule_due_at UNIQUE (schedule, due_at)"
        )


def test_after_missed_hours_only_the_last_due_time_of_each_schedule_is_started(
    app: Flask, session: Any
) -> None:
    start = datetime(2026, 11, 15, 12, tzinfo=UTC)
    tick(db.engine, start)
    away = start + timedelta(days=3, hours=1)
    tick(db.engine, away)
    everything_ends()
    for n in range(1, 60):  # those that waited for a run of the same kind and scope
        tick(db.engine, away + n * SECOND)
        everything_ends()
    found = runs_of_schedules()
    late = {s.name: due(s, start, away)[-1:] for s in SCHEDULES}
    worth = {s.name: [m for m in late[s.name] if away - m <= s.grace] for s in SCHEDULES}
    assert found == sorted((name, moment) for name, times in worth.items() for moment in times)
    assert found


def test_clocks_that_are_set_back_and_forth_start_nothing_twice(app: Flask, session: Any) -> None:
    start = datetime(2026, 12, 31, 12, tzinfo=UTC)  # a year's end
    tick(db.engine, start, SIMULATED)
    chance = random.Random(42)
    moments = [start + timedelta(hours=n) for n in range(72)]
    for moment in moments:
        for back in (0, chance.randint(0, 100), 0):
            tick(db.engine, moment - timedelta(hours=back), SIMULATED)
            everything_ends()
    found = runs_of_schedules()
    assert len(found) == len(set(found))
    for schedule in SIMULATED:
        inside = due(schedule, start, moments[-1])
        mine = [moment for name, moment in found if name == schedule.name and moment > start]
        assert mine == inside
