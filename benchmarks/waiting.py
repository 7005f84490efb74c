"""(w) Readings that users enter during a heal of a large book of gas in which every row is wrong."""

import multiprocessing
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from random import Random
from typing import Any

from backoffice.figures.verifying.healing import heal
from tests.figures import gas
from tests.figures.worlds import World as Book

from .report import Measured, Report
from .running import FIRST_DAY, TODAY, VOLUME, a_book
from .timing import summary, timed
from .world import World

CUSTOMERS = 2_010
"""The number of customers, each read daily for three years: 2,200,000 calculations."""
PEOPLE = 2
PAUSE_SECONDS = 0.05
"""The average pause of a user between two readings."""
WINDOW_SECONDS = 10.0
BAR = 0.5
FALSIFY = (
    "UPDATE shape_calculations SET total = total + 1",
    "UPDATE shape_months SET purchases = purchases + 3, closing = closing + 1",
    "UPDATE shape_customers SET balance = balance + 1",
)

_FORK = multiprocessing.get_context("fork")


def measure(world: World, scale: float) -> Report:
    """Measure the slowest save of a few processes, without a heal and during one."""
    customers = max(50, int(CUSTOMERS * scale))
    with a_book(world, customers) as book:
        without = _saves_beside(book, customers, lambda: time.sleep(WINDOW_SECONDS))
        for statement in FALSIFY:
            book.surgery.execute(statement.encode())
        book.surgery.execute("TRUNCATE corrections CASCADE")
        world.settle()
        took: list[float] = []

        def healed() -> None:
            result: list[Any] = []
            took.append(timed(lambda: result.append(heal(book.engine, book.registry))))
            assert not result[0].failures

        with_heal = _saves_beside(book, customers, healed)
        assert not book.drift(), "figures are wrong after the benchmark"
    rows = customers * (TODAY - FIRST_DAY).days
    return Report(
        [
            Measured("w", f"slowest save beside a heal of {rows:,} rows", max(with_heal), "s", BAR),
            Measured("w", "the same without a heal", max(without), "s"),
            Measured("w", "the heal, with people beside it", took[0], "s"),
        ],
        {"save beside a heal": summary(with_heal), "save": summary(without)},
    )


def _saves_beside(book: Book, customers: int, work: Callable[[], object]) -> list[float]:
    """The seconds of all users' saves while `work` is done."""
    is_over = _FORK.Event()
    running: list[tuple[Any, Connection]] = []
    for person in range(PEOPLE):
        receiver, sender = _FORK.Pipe(duplex=False)
        given = (book, customers, person, is_over, sender)
        process = _FORK.Process(target=_save, args=given)
        process.start()
        running.append((process, receiver))
    try:
        work()
    finally:
        is_over.set()
    saves = [seconds for _, receiver in running for seconds in receiver.recv()]
    for process, _ in running:
        process.join()
    return saves


def _save(book: Book, customers: int, person: int, is_over: Event, reported: Connection) -> None:
    """Save readings of the next day of random customers, until the work is over."""
    book.engine.dispose(close=False)
    chance, found, day = Random(person), list[float](), TODAY
    while not is_over.is_set():
        time.sleep(chance.uniform(0, 2 * PAUSE_SECONDS))
        day += timedelta(1)
        customer = chance.randint(1, customers)
        with book.sessions() as session:
            session.add(gas.Reading(customer_id=customer, read_on=day, volume=VOLUME))
            found.append(timed(session.commit))
    reported.send(found)
