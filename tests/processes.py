"""Work in separate processes of the app, each with its own connections, like web workers."""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import Any

from flask import Flask
from sqlalchemy.exc import DBAPIError

from backoffice.app.extensions import db

_FORK = multiprocessing.get_context("fork")

Work = Callable[[], Any]


def barrier(parties: int) -> Barrier:
    """A barrier at which that many processes wait for each other; if one never arrives, all fail."""
    return _FORK.Barrier(parties, timeout=30)


def together(app: Flask, *works: Work, seconds: float = 60) -> list[Any]:
    """Run every work in a separate process, inside an app context; returns their results.

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


def in_rounds(
    app: Flask, rounds: int, *hands: Callable[[int], Any], between: Work | None = None
) -> list[list[Any]]:
    """The results of each hand, round by round: each has a separate process, and all begin every round together.

    After each round, while none of them is working, `between` is called. If one raises, all stop.
    """
    meet = barrier(len(hands) + (between is not None))

    def by_turns(act: Callable[[int], Any], first: int) -> list[Any]:
        answers: list[Any] = []
        try:
            for turn in range(2 * rounds):
                if turn % 2 == 0:
                    meet.wait()
                if turn % 2 == first:
                    answers.append(act(turn // 2))
                if turn % 2 == 0:
                    meet.wait()
        except BrokenBarrierError:
            pass  # the process that broke it reports why
        except BaseException:
            meet.abort()
            raise
        return answers

    works: list[Work] = [lambda hand=hand: by_turns(hand, 0) for hand in hands]
    if between is not None:
        works.append(lambda: by_turns(lambda _: between(), 1))
    found = together(app, *works, seconds=60 + rounds * (1 + len(hands) / 10))
    assert {len(answers) for answers in found} == {rounds}, "a round was not finished"
    return found[: len(hands)]


class Race:
    """A number of processes that each take a minimum of turns, and continue until all others have taken theirs.

    So every process always has competitors, however fast or busy the machine is.
    """

    def __init__(self, parties: int) -> None:
        self._not_yet = _FORK.Value("i", parties)

    def turns(self, fewest: int) -> Iterator[int]:
        """The turns of one process, counted from 0."""
        number, is_through = 0, False
        try:
            while not is_through or self._not_yet.value > 0:
                yield number
                number += 1
                if number == fewest:
                    is_through = self._through()
        finally:  # a process that fails must not keep the others going
            if not is_through:
                self._through()

    def _through(self) -> bool:
        with self._not_yet.get_lock():
            self._not_yet.value -= 1
        return True


def killed(app: Flask, work: Work) -> int:
    """Run a work that may kill its own process; returns the exit code."""
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
            db.engine.dispose(close=False)  # leave the parent's connections to the parent
            sender.send((True, work()))
            db.engine.dispose()
    except BaseException:  # noqa: BLE001 (handed to the test)
        sender.send((False, traceback.format_exc()))
    finally:
        sender.close()
        os._exit(0)  # no code of pytest may run in a child


def _answer(receiver: Connection, end: float) -> Any:
    assert receiver.poll(max(0.0, end - time.monotonic())), "a process did not finish in time"
    done, answer = receiver.recv()
    assert done, answer
    return answer


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's error code; empty where the connection itself broke."""
    return str(getattr(error.orig, "sqlstate", None) or "")
