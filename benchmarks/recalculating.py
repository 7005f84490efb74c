"""(k) A large book of billing: verified, and recalculated with every stored figure wrong, beside plain SQL."""

import multiprocessing
import sys
from functools import partial
from pathlib import Path
from typing import Any

from psycopg import Connection
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.audit import marks
from backoffice.audit.facts import facts_by_table
from backoffice.billing.figures import RECALCULATED
from backoffice.database.embedded import ADMIN
from backoffice.runs import actions
from backoffice.runs.models import Run
from backoffice.runs.working import perform
from tests.processor import seconds_of

from .billing_book import METERS_OF_A_CUSTOMER, MONTHS, TABLES, load
from .memory import growth
from .report import Measured, Report
from .timing import in_turn, ratio, summary, timed
from .world import World

CUSTOMERS = 100_000
BAR = 2.0
UNMARKED_BAR = 2.5
VERIFY_BAR = 1.3
MEMORY_BAR_MB = 100.0
ROUNDS = 3
VERIFY_ROUNDS = 5
HAND_WRITTEN = Path(__file__).with_suffix(".sql").read_text()
COMPARISON = Path(__file__).with_name("billing_verifying.sql").read_text()
FALSIFY = (
    (
        "UPDATE meters SET invoiced = invoiced + 1, paid = paid + 3, balance = balance + 5, "
        "overpayment = overpayment + 7"
    ),
    "UPDATE customers SET balance = balance + 5, overpayment = overpayment + 7",
)


def measure(world: World, scale: float) -> Report:
    """Time verifications of a right book; then both recalculations in turn, each on a book made wrong again."""
    customers = max(500, int(CUSTOMERS * scale))
    world.empty()
    print(f"    loading {customers:,} customers …", file=sys.stderr)
    with world.connect(ADMIN) as surgery, world.connect() as plain:
        load(surgery, customers)
        surgery.execute("SET session_replication_role = replica")
        world.settle()
        with world.app.app_context():
            engine = db.engine
            verified = in_turn(
                {
                    "verify": lambda: timed(partial(_verified, engine)),
                    "comparison": lambda: timed(partial(_compared, plain)),
                },
                VERIFY_ROUNDS,
            )
            seconds, processor, grown = _recalculated(world, surgery, engine, customers)
    meters = customers * METERS_OF_A_CUSTOMER
    size = f"{customers:,} customers, {meters:,} meters, {2 * MONTHS * meters:,} documents"
    numbers: dict[str, Any] = {n: summary(t) for n, t in (verified | seconds).items()}
    numbers |= {f"{n}, processor": summary(t) for n, t in processor.items()}
    numbers["customers"] = customers
    rate = customers / min(seconds["ours"])
    return Report(
        [
            *(
                Measured("k", f"recalculate {size}, all wrong, {how}", value, "×", bar)
                for how, value, bar in (
                    (
                        "with marks, processor",
                        ratio(processor["marked"], processor["hand_written"]),
                        BAR,
                    ),
                    ("with marks", ratio(seconds["marked"], seconds["hand_written"]), None),
                    (
                        "without marks, processor",
                        ratio(processor["ours"], processor["hand_written"]),
                        UNMARKED_BAR,
                    ),
                    ("without marks", ratio(seconds["ours"], seconds["hand_written"]), None),
                )
            ),
            Measured(
                "k",
                "verify the same",
                ratio(verified["verify"], verified["comparison"]),
                "×",
                VERIFY_BAR,
            ),
            Measured("k", "memory that a recalculation takes", grown, "MB", MEMORY_BAR_MB),
            Measured("k", "customers recalculated a second", rate, "a second"),
        ],
        numbers,
        {
            "(k) the hand-written statements": HAND_WRITTEN,
            "(k) the hand-written comparison": COMPARISON,
        },
    )


def _recalculated(
    world: World, surgery: Connection[Any], engine: Engine, customers: int
) -> tuple[dict[str, list[float]], dict[str, list[float]], float]:
    """Seconds and processor time of each side, and the largest memory growth of a worker's process in megabytes."""
    sides = ["ours", "marked", "hand_written"]
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    processor: dict[str, list[float]] = {side: [] for side in sides}
    with (
        engine.connect() as connection
    ):  # all is right: as a verification of its facts would leave it
        facts = facts_by_table()
        begun = marks.begun(connection, [facts[name] for name in TABLES])
    grown = 0.0
    corrections = (
        customers + 2 * customers * METERS_OF_A_CUSTOMER
    )  # a meter's sums, and its balance
    for number in range(ROUNDS):
        for side in sides[number % len(sides) :] + sides[: number % len(sides)]:
            for statement in FALSIFY:
                surgery.execute(statement.encode())
            surgery.execute("TRUNCATE corrections, run_items, fact_marks CASCADE")
            if side == "marked":
                with engine.begin() as connection:
                    marks.record(connection, begun)
            world.settle()
            done: list[tuple[float, float]] = []
            work = partial(_performed, side, engine, surgery, done)
            processor[side].append(seconds_of(work, world.services))
            seconds[side].append(done[0][0])
            grown = max(grown, done[0][1])
            assert _count(surgery, "corrections") == corrections, side
            assert not list(figures.verify(engine, RECALCULATED)), side
    return seconds, processor, grown


def _performed(
    side: str, engine: Engine, surgery: Connection[Any], done: list[tuple[float, float]]
) -> None:
    """Recalculate once, by this side; adds its seconds and its memory growth in megabytes to `done`."""
    if side == "hand_written":
        done.append((timed(lambda: surgery.execute(HAND_WRITTEN.encode())), 0.0))
    else:
        done.append(_in_a_process(engine))


def _in_a_process(engine: Engine) -> tuple[float, float]:
    """Recalculate in a separate process; returns its seconds and its memory growth in megabytes."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    worker = fork.Process(target=_work, args=(engine, there))
    worker.start()
    seconds, grown = here.recv()
    worker.join()
    return seconds, grown


def _work(engine: Engine, answer: Any) -> None:
    engine.dispose(close=False)
    with growth() as grown:
        seconds = timed(partial(_recalculate, engine))
    answer.send((seconds, grown()))


def _recalculate(engine: Engine) -> None:
    with Session(engine) as session:
        run = actions.request(session, "billing.recalculate", {}, is_paced=False, is_here=True)
        run_id = run.id
        session.commit()
    perform(engine, run_id)
    with Session(engine) as session:
        assert session.get_one(Run, run_id).status == "done"


def _verified(engine: Engine) -> None:
    assert not list(figures.verify(engine, RECALCULATED))


def _compared(connection: Connection[Any]) -> None:
    assert not connection.execute(COMPARISON.encode()).fetchall()


def _count(connection: Connection[Any], table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])
