"""(i) Verifying and healing a large book in which one order in a hundred is wrong, beside one statement;
and one in which every order is wrong, as a run, beside the core's own call."""

import multiprocessing
import sys
import time
from collections.abc import Callable
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
from backoffice.database.embedded import ADMIN
from backoffice.drift.verification.scope import scope_of
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.runs import actions
from backoffice.runs.models import Run
from backoffice.runs.working import perform
from tests.processor import seconds_of

from .book import load
from .report import Measured, Report
from .timing import in_turn, ratio, summary, timed
from .world import World

ORDERS = 1_000_000
WRONG = 100
"""One order in so many is made wrong."""
BAR = 1.5
TWO_WORKERS_BAR = 1 / 1.6
RUN_BAR = 1.3
ALL_WRONG = 100_000
ROUNDS = 5
HAND_WRITTEN = Path(__file__).with_suffix(".sql").read_text()
FALSIFY = f"UPDATE orders SET grand_total = grand_total + 1 WHERE id % {WRONG} = 0"


def measure(world: World, scale: float) -> Report:
    """Time one worker, two workers and the statement in turn, each on as many orders made wrong again."""
    orders = max(1_000, int(ORDERS * scale))
    world.empty()
    print(f"    loading {orders:,} orders …", file=sys.stderr)
    with world.connect(ADMIN) as surgery:
        load(surgery, orders, falsified=False)
        surgery.execute("SET session_replication_role = replica")
        seconds: dict[str, list[float]] = {"one": [], "two": [], "hand_written": []}
        processor: dict[str, list[float]] = {"one": [], "two": [], "hand_written": []}
        with world.app.app_context():
            engine = db.engine
            _mark(engine)
            sides = {
                "one": partial(healed, engine, 1),
                "two": partial(healed, engine, 2),
                "hand_written": partial(_hand_written, surgery),
            }
            for _ in range(ROUNDS):
                for name, heal in sides.items():
                    wrong = surgery.execute(FALSIFY.encode()).rowcount
                    world.settle()
                    before = _corrections(surgery)
                    work = partial(_timed, heal, seconds[name])
                    processor[name].append(seconds_of(work, world.services))
                    assert _corrections(surgery) - before == wrong, name
    numbers: dict[str, Any] = {name: summary(runs) for name, runs in seconds.items()}
    numbers |= {f"{name}, processor": summary(spent) for name, spent in processor.items()}
    numbers["orders"] = orders
    size = f"{orders:,} orders, {orders // WRONG:,} wrong"
    by_hand = ratio(processor["one"], processor["hand_written"])
    by_the_clock = ratio(seconds["one"], seconds["hand_written"])
    shared = ratio(seconds["two"], seconds["one"])
    return Report(
        [
            Measured("i", f"verify and heal {size}, processor", by_hand, "×", BAR),
            Measured("i", "the same, by the clock", by_the_clock, "×"),
            Measured("i", "two workers, of the time of one", shared, "×", TWO_WORKERS_BAR),
            _all_wrong(world, max(1_000, int(ALL_WRONG * scale)), numbers),
        ],
        numbers,
        {"(i) the hand-written heal": HAND_WRITTEN},
    )


def _all_wrong(world: World, orders: int, numbers: dict[str, Any]) -> Measured:
    """The same heal as a run, with all its records, beside the core's bare call."""
    world.empty()
    with world.connect(ADMIN) as surgery, world.app.app_context():
        load(surgery, orders, falsified=False)
        surgery.execute("SET session_replication_role = replica")
        _mark(db.engine)
        sides = {
            "run": partial(healed, db.engine, 1),
            "library": partial(figures.heal, db.engine, ORDER_FIGURES),
        }

        def side(heal: Callable[[], object]) -> float:
            surgery.execute("UPDATE orders SET grand_total = grand_total + 1")
            surgery.execute("TRUNCATE corrections, run_items CASCADE")
            world.settle()
            seconds = timed(heal)
            healed_orders = surgery.execute(
                "SELECT count(*) FROM corrections WHERE figure = 'orders.grand_total'"
            ).fetchone()
            assert healed_orders == (orders,)  # targets follow, and are counted separately
            return seconds

        seconds = in_turn({n: partial(side, heal) for n, heal in sides.items()}, ROUNDS)
    numbers |= {f"all wrong, {name}": summary(runs) for name, runs in seconds.items()}
    title = f"heal {orders:,} orders, all wrong: a run, of the library's own call"
    return Measured("i", title, ratio(seconds["run"], seconds["library"]), "×", RUN_BAR)


def healed(engine: Engine, workers: int) -> None:
    with Session(engine) as session:
        scope = scope_of(ORDER_FIGURES)
        run = actions.request(session, "figures.heal", scope, is_paced=False, is_here=True)
        run_id = run.id
        session.commit()
    fork = multiprocessing.get_context("fork")
    others = [fork.Process(target=_help, args=(engine, run_id)) for _ in range(workers - 1)]
    for other in others:
        other.start()
    perform(engine, run_id)
    for other in others:
        other.join()
    with Session(engine) as session:
        while (run := session.get_one(Run, run_id, populate_existing=True)).is_live:
            time.sleep(0.01)
            session.rollback()
        assert run.status == "done"


def _mark(engine: Engine) -> None:
    """Leave the marks that the nightly verification of facts leaves; the book is right."""
    with engine.begin() as connection:
        marks.record(connection, marks.begun(connection, facts_by_table().values()))


def _timed(heal: Callable[[], object], seconds: list[float]) -> None:
    seconds.append(timed(heal))


def _help(engine: Engine, run_id: int) -> None:
    engine.dispose(close=False)
    perform(engine, run_id)


def _hand_written(connection: Connection[Any]) -> None:
    connection.execute(HAND_WRITTEN.encode())


def _corrections(connection: Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM corrections").fetchone()
    assert row is not None
    return int(row[0])
