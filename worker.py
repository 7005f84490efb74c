"""The RQ worker, with its attendant beside it; with `--scheduler` the process that requests runs when they are due.

Any number of workers may run, on any number of machines; they share DATABASE_URL and REDIS_URL.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event

import click
import structlog
from flask import Flask
from redis import Redis
from redis.exceptions import RedisError

from backoffice.app import config, create_background_app, logs
from backoffice.app.command_line import PATIENCE, Trouble
from backoffice.app.edge import Backoffice
from backoffice.app.extensions import db
from backoffice.app.loading import read_ahead
from backoffice.base.actor import acting_as
from backoffice.book import MeaningDiffers, check_at_start
from backoffice.database.embedded import Folders, Services
from backoffice.drift.outside import watch
from backoffice.runs import attendant, worker
from backoffice.runs.relay import relay
from backoffice.runs.working import perform_in_turns
from backoffice.schedules import scheduler

log = structlog.get_logger("backoffice.worker")

WATCHING = "worker:watch"
"""The actor that is recorded when outside programs' writes are followed up."""


@click.command()
@click.option("--scheduler", "is_scheduler", is_flag=True, help="Ask for periodic work instead.")
@click.option("--burst", is_flag=True, help="End when the queue is empty.")
def main(is_scheduler: bool, burst: bool) -> None:
    """Execute background work until told to stop (SIGTERM, or Ctrl+C)."""
    with ExitStack() as stack:
        settings = config.load()
        logs.configure(settings["LOG_LEVEL"])
        _use_embedded(settings, stack)
        app = create_background_app(PATIENCE)
        _compare_with_the_book(app)
        if is_scheduler:
            _schedule(app)
        else:
            _work(app, stack, burst)


def _compare_with_the_book(app: Flask) -> None:
    """Refuse to start on a book that is kept in another currency or time zone. Raises Trouble."""
    with app.app_context():
        try:
            check_at_start(db.engine)
        except MeaningDiffers as differs:
            raise Trouble(str(differs)) from differs


def _use_embedded(settings: config.Settings, stack: ExitStack) -> None:
    """Run the embedded services that stand in for unconfigured ones, at least as long as this process."""
    if config.SUPERVISED in os.environ:
        return
    if settings["EMBEDDED_POSTGRES"] or settings["EMBEDDED_REDIS"]:
        if not Folders.exist(settings["BACKOFFICE_HOME"]):
            raise config.NoHome(settings["BACKOFFICE_HOME"])
        services = Services(settings["BACKOFFICE_HOME"])
        wanted = services.wanted(settings["EMBEDDED_POSTGRES"], settings["EMBEDDED_REDIS"])
        stack.enter_context(services.in_use(*wanted))


def _schedule(app: Flask) -> None:
    """Request runs when they are due, until asked to stop. Raises Trouble where the scheduler ends by itself."""
    stopping = _stopping_on_signal()
    with app.app_context():
        if not scheduler.run(db.engine, stopping):
            raise Trouble("The scheduler ended by itself; its log says why.")


def _work(app: Backoffice, stack: ExitStack, burst: bool) -> None:
    """Perform the queue's jobs, with the relay and the watch beside; survives an outage of Redis."""
    read_ahead(app)  # each job has a process of its own
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit())
    redis = stack.enter_context(worker.connect(app.config["REDIS_URL"]))
    if burst:
        _work_until_nothing_is_left(app, redis)
        return
    beside = stack.enter_context(attendant.attended(lambda stopping: _attend(app, stopping)))
    while True:
        try:
            if worker.work(redis, _perform(app), attend=beside.ensure):
                return
        except RedisError as error:
            log.warning("redis does not answer; trying again", error=str(error))
        beside.ensure()
        time.sleep(1)


def _work_until_nothing_is_left(app: Flask, redis: Redis) -> None:
    with app.app_context(), acting_as(WATCHING):
        while watch.look(db.engine):
            pass
    while True:
        with app.app_context():
            delivered = relay(db.engine, redis)
            db.engine.dispose()
        worker.work(redis, _perform(app), burst=True)
        if not delivered:
            return


def _perform(app: Flask) -> worker.Perform:
    """Return the function that performs a run in the child forked by RQ, on database connections of its own."""

    def perform_in_app(run_id: int, stopping: Callable[[], bool]) -> None:
        with app.app_context():
            db.engine.dispose(close=False)
            perform_in_turns(
                db.engine, run_id,
                stopping=stopping, seconds=worker.SLICE_SECONDS, lease=app.config["RUN_LEASE_SECONDS"],
            )  # fmt: skip

    return perform_in_app


def _attend(app: Flask, stopping: Callable[[], bool]) -> None:
    with app.app_context(), acting_as(WATCHING):
        db.engine.dispose(close=False)
        url = config.plain_url(app.config["DATABASE_URL"])
        redis = worker.connect_briefly(app.config["REDIS_URL"])
        attendant.attend(db.engine, url, redis, watch.look, stopping)


def _stopping_on_signal() -> Event:
    """An event that is set by SIGTERM and Ctrl+C."""
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


if __name__ == "__main__":
    sys.exit(main())
