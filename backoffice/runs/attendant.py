"""The process beside every worker that delivers runs and watches for writes of outside programs.

It is a separate process because a worker's process only waits for its child; it polls twice a
second, and at once when PostgreSQL notifies it (LISTEN, where there is a direct connection).
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import structlog
from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ..database.embedded.processes import dies_with_parent
from ..database.outages import is_unreachable
from ..figures.keeping.triggers import CHANNEL
from .relay import relay

log = structlog.get_logger("backoffice.attendant")

LOOK_EVERY_SECONDS = 0.5
WITHOUT_REDIS_SECONDS = 5.0
"""How long the relay waits before it tries a Redis again that did not answer."""

LISTEN_AGAIN_SECONDS = 10.0

Watch = Callable[[Engine], bool]
"""Polls once; returns whether there was anything to do, so that it is worth polling again at once."""


class Ear:
    """Waits for PostgreSQL's notification that an outside program has written; without LISTEN it only sleeps."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[object] | None = None
        self._again = 0.0

    def wait(self, seconds: float) -> None:
        """Return at a notification, or after so many seconds."""
        end = time.monotonic() + seconds
        connection = self._listening()
        if connection is not None:
            try:
                for _ in connection.notifies(timeout=seconds, stop_after=1):
                    return
            except psycopg.Error:
                self._forget()
        time.sleep(max(end - time.monotonic(), 0))

    def _listening(self) -> psycopg.Connection[object] | None:
        if self._connection is None and time.monotonic() >= self._again:
            try:
                self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=3)
                self._connection.execute(f"LISTEN {CHANNEL}".encode())
            except psycopg.Error as error:
                log.warning("cannot listen; looking regularly instead", error=str(error).strip())
                self._forget()
        return self._connection

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._again = time.monotonic() + LISTEN_AGAIN_SECONDS


def attend(
    engine: Engine, url: str, redis: Redis, watch: Watch, stopping: Callable[[], bool]
) -> None:
    """Relay and watch until `stopping` is true; neither waits for the other, and no error ends the loop."""
    ear, redis_again = Ear(url), 0.0
    while not stopping():
        was_busy = False
        try:
            was_busy = watch(engine)
            if time.monotonic() >= redis_again:
                began = time.monotonic()
                relay(engine, redis)
                if time.monotonic() - began > 1:
                    redis_again = time.monotonic() + WITHOUT_REDIS_SECONDS
        except DBAPIError as error:
            events = {
                True: "the database does not answer; looking again",
                False: "the database refused; looking again",
            }
            log.warning(events[is_unreachable(error)], error=str(error.orig).strip())
            time.sleep(LOOK_EVERY_SECONDS)
        except Exception:
            log.exception("attending failed; looking again")
            time.sleep(LOOK_EVERY_SECONDS)
        if not was_busy:
            ear.wait(LOOK_EVERY_SECONDS)


class Attendant:
    """The attendant as a child process of this one; restarted when it has died."""

    def __init__(self, main: Callable[[Callable[[], bool]], None]) -> None:
        self._main = main
        self._pid = 0

    def ensure(self) -> None:
        """Start the child process unless it is running."""
        if self._pid and os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            return
        if self._pid:
            log.error("the attendant ended unexpectedly and is started again")
        tie = dies_with_parent(signal.SIGTERM)
        self._pid = os.fork()
        if self._pid == 0:
            tie()
            self._live()

    def _live(self) -> None:
        """Run in the child until SIGTERM; Ctrl+C reaches it through its parent."""
        stopped: list[int] = []
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
        status = 1
        try:
            self._main(lambda: bool(stopped))
            status = 0
        except BaseException:
            log.exception("the attendant cannot go on")
            time.sleep(1)  # its parent starts another one
        finally:
            os._exit(status)

    def stop(self) -> None:
        """End the child process, and wait until it has ended."""
        if self._pid:
            os.kill(self._pid, signal.SIGTERM)
            os.waitpid(self._pid, 0)
            self._pid = 0


@contextmanager
def attended(main: Callable[[Callable[[], bool]], None]) -> Iterator[Attendant]:
    """Run an attendant for the duration of the block."""
    attendant = Attendant(main)
    attendant.ensure()
    try:
        yield attendant
    finally:
        attendant.stop()
