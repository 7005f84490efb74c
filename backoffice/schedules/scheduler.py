"""The scheduler's loop. It needs only PostgreSQL, and uses its clock; any number may run."""

from contextvars import copy_context
from datetime import datetime, timedelta
from threading import Event, Thread

import structlog
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from ..base import table_of
from ..database.outages import is_unreachable
from ..runs.working import myself
from .catalog import SCHEDULES
from .models import Scheduler
from .ticking import tick

log = structlog.get_logger("backoffice.scheduler")

SCHEDULERS = table_of(Scheduler)

LOOK_SECONDS = 5.0
"""How often a scheduler polls for due schedules."""

FORGET_AFTER = timedelta(days=1)
"""How long the row of a stopped scheduler, with its last poll, is kept."""

STOP_SECONDS = 0.3
"""How long a poll in progress may take to end when the process is asked to stop."""


def run(engine: Engine, stopping: Event) -> bool:
    """Poll for due schedules until `stopping` is set. False: the loop ended by itself.

    The polling has a thread of its own, so that the process ends at once even if PostgreSQL does not answer:
    what a poll has not committed, PostgreSQL rolls back.
    """
    log.info("scheduler started", schedules=[schedule.name for schedule in SCHEDULES])
    in_our_context = copy_context().run  # which holds the declarations of the current app
    arguments = (_look_again_and_again, engine, stopping)
    thread = Thread(target=in_our_context, args=arguments, daemon=True)
    thread.start()
    while thread.is_alive() and not stopping.is_set():
        thread.join(0.1)  # not stopping.wait(): a signal handler that interrupts it would deadlock
    is_asked_to_stop = stopping.is_set()
    thread.join(STOP_SECONDS)
    log.info("scheduler stopped")
    return is_asked_to_stop


def _look_again_and_again(engine: Engine, stopping: Event) -> None:
    is_lost = False
    while not stopping.is_set():
        try:
            look(engine)
            if is_lost:
                log.info("database answers again")
            is_lost = False
        except SQLAlchemyError as error:
            if not is_lost:
                events = {
                    True: "database does not answer; trying again",
                    False: "database refused; trying again",
                }
                log.warning(events[is_unreachable(error)], error=str(error))
            is_lost = True
        stopping.wait(1.0 if is_lost else LOOK_SECONDS)


def look(engine: Engine) -> None:
    """Request what is due now, and record that this scheduler polled."""
    tick(engine, _now(engine))
    _leave_word(engine)


def _now(engine: Engine) -> datetime:
    """The time by PostgreSQL's clock, so that schedulers on different machines agree."""
    with engine.connect() as connection:
        now: datetime = connection.scalars(select(func.clock_timestamp())).one()
    return now


def _leave_word(engine: Engine) -> None:
    word = insert(SCHEDULERS).values(name=myself())
    ours = word.on_conflict_do_update(
        index_elements=[SCHEDULERS.c.name], set_={"looked_at": func.now()}
    )
    gone = delete(SCHEDULERS).where(SCHEDULERS.c.looked_at < func.now() - FORGET_AFTER)
    with engine.begin() as connection:
        connection.execute(ours)
        connection.execute(gone)
