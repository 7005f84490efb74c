"""Work in separate processes of the app, each with connections of its own, as web workers are."""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from flask import Flask
from sqlalchemy.exc import DBAPIError

from backoffice.app.extensions import db

_FORK = multiprocessing.get_context("fork")

Work = Callable[[], Any]


def barrier(parties: int) -> Barrier:
    """A barrier at which that many processes wait for each other; one that never comes fails all."""
    return _FORK.Barrier(parties, timeout=30)


def together(app: Flask, *works: Work, seconds: float = 60) -> list[Any]:
    """Run every work in a process of its own, inside an app context; answers what each returns.

    A work that raises fails the test with its traceback; one that is not done in time is killed.
    """
    running = [_start(app, work) for work in works]
    end = time.monotonic() + seconds
    try:
        return [_answer(receiver, end) for _, receiver in running]
    finally:
        for process, _ in running:
            process.join(max(0.0, end - time.monotonic()))
            process.kill()
            process.join()


def killed(app: Flask, work: Work) -> int:
    """Run a work that may kill its own process; answers the exit code."""
    process, _ = _start(app, work)
    process.join(30)
    assert process.exitcode is not None, "the process did not end"
    return int(process.exitcode)


def _start(app: Flask, work: Work) -> tuple[Any, Connection]:
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_child, args=(app, work, sender))
    process.start()
    sender.close()
    return process, receiver


def _child(app: Flask, work: Work, sender: Connection) -> None:
    try:
        with app.app_context():
            db.engine.dispose(close=False)  # the parent's connections are the parent's
            sender.send((True, work()))
            db.engine.dispose()
    except BaseException:  # noqa: BLE001 (handed to the test)
        sender.send((False, traceback.format_exc()))
    finally:
        sender.close()
        os._exit(0)  # nothing of pytest's may run in a child


def _answer(receiver: Connection, end: float) -> Any:
    assert receiver.poll(max(0.0, end - time.monotonic())), "a process did not finish in time"
    done, answer = receiver.recv()
    assert done, answer
    return answer


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's code of what went wrong; empty where the connection itself broke."""
    return str(getattr(error.orig, "sqlstate", None) or "")
