"""The RQ worker; with `--scheduler` the process that asks the workers for periodic work.

Any number of workers may run, on any number of machines; they share DATABASE_URL and REDIS_URL.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event

import click
from flask import Flask

from backoffice import config, create_app, logs
from backoffice.commands import Trouble
from backoffice.embedded import EmbeddedError, Services
from backoffice.figures.actor import acting_as
from backoffice.housekeeping import CHORES
from backoffice.runs import scheduler, worker


@click.command()
@click.option("--scheduler", "is_scheduler", is_flag=True, help="Ask for periodic work instead.")
@click.option("--burst", is_flag=True, help="End when the queue is empty.")
def main(is_scheduler: bool, burst: bool) -> None:
    """Execute background work until told to stop (SIGTERM, or Ctrl+C)."""
    with ExitStack() as stack:
        try:
            settings = config.load()
            logs.configure(settings["LOG_LEVEL"])
            _use_embedded(settings, stack)
            app = create_app({"STATEMENT_TIMEOUT": 0, "LOCK_TIMEOUT": 60_000})
        except (config.ConfigurationError, EmbeddedError) as error:
            raise Trouble(str(error)) from error
        connection = stack.enter_context(worker.connect(app.config["REDIS_URL"]))
        if is_scheduler:
            intervals = {name: chore.every for name, chore in CHORES.items()}
            scheduler.run(connection, intervals, _stopping_on_signal())
        else:
            allowed = {name: _in(app, name, chore.work) for name, chore in CHORES.items()}
            worker.work(connection, allowed, burst=burst)


def _use_embedded(settings: config.Settings, stack: ExitStack) -> None:
    """Whichever service nobody configured runs at least as long as we do."""
    if "BACKOFFICE_SUPERVISED" in os.environ:
        return
    if settings["EMBEDDED_POSTGRES"] or settings["EMBEDDED_REDIS"]:
        services = Services(settings["BACKOFFICE_HOME"])
        wanted = services.wanted(settings["EMBEDDED_POSTGRES"], settings["EMBEDDED_REDIS"])
        stack.enter_context(services.in_use(*wanted))


def _in(app: Flask, name: str, work: Callable[[], None]) -> Callable[[], None]:
    """The piece of work inside the app, in the worker's own name."""

    def work_in_app() -> None:
        with app.app_context(), acting_as(f"worker:{name}"):
            work()

    return work_in_app


def _stopping_on_signal() -> Event:
    """An event that SIGTERM and Ctrl+C set."""
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


if __name__ == "__main__":
    sys.exit(main())
