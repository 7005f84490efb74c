"""(j) Page loads of users during a paced run, beside the same pages without it."""

import http.client
import multiprocessing
import random
import sys
import threading
import time
from statistics import quantiles
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.database.embedded import ADMIN
from backoffice.drift.verification.scope import scope_of
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.runs import actions
from backoffice.runs.working import perform

from .book import load
from .healing import FALSIFY
from .report import Measured, Report
from .served import gunicorn
from .timing import summary
from .web import EMPTY, sign_in
from .world import World

ORDERS = 1_000_000
BAR = 1.2
PEOPLE = 4
PAUSE_SECONDS = 0.25
"""The average pause of a user between two pages."""
WINDOW_SECONDS = 12.0
ROUNDS = 4
WARM_UP_SECONDS = 4.0

PATHS = (EMPTY, "/orders", "/orders?sort=number&page=3", "/orders/SO-00000100", "/customers")


def measure(world: World, scale: float) -> Report:
    """Time windows with and without a run in turn; compares the 95th percentiles of all requests."""
    orders = max(1_000, int(ORDERS * scale))
    world.empty()
    print(f"    loading {orders:,} orders …", file=sys.stderr)
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    with world.connect(ADMIN) as surgery:
        load(surgery, orders, falsified=False)
        surgery.execute("SET session_replication_role = replica")
        world.settle()
        cookie = sign_in(world.app, 1)
        with world.app.app_context(), gunicorn(world) as port:
            engine = db.engine
            _people(port, cookie, WARM_UP_SECONDS)
            for _ in range(ROUNDS):
                seconds["without"] += _people(port, cookie, WINDOW_SECONDS)
                surgery.execute(FALSIFY.encode())
                seconds["with"] += _beside_a_run(engine, port, cookie)
    p95 = {name: quantiles(runs, n=20)[-1] for name, runs in seconds.items()}
    numbers: dict[str, Any] = {name: summary(runs) for name, runs in seconds.items()}
    numbers |= {f"{name}_p95_ms": round(value * 1000, 1) for name, value in p95.items()}
    title = f"pages beside a paced heal of {orders:,} orders, p95 of p95 without"
    return Report(
        [
            Measured("j", title, p95["with"] / p95["without"], "×", BAR),
            Measured("j", "the same, p95 without a run", p95["without"] * 1000, "ms"),
        ],
        numbers,
    )


def _beside_a_run(engine: Engine, port: int, cookie: str) -> list[float]:
    with Session(engine) as session:
        run = actions.request(session, "figures.heal", scope_of(ORDER_FIGURES), is_here=True)
        run_id = run.id
        session.commit()
    fork = multiprocessing.get_context("fork")
    worker = fork.Process(target=_work, args=(engine, run_id))
    worker.start()
    seconds = _people(port, cookie, WINDOW_SECONDS)
    assert worker.is_alive(), "the run ended before people did: make the book larger"
    worker.join()
    with Session(engine) as session:
        actions.cancel(session, run_id)
        session.commit()
    perform(engine, run_id)
    return seconds


def _work(engine: Engine, run_id: int) -> None:
    engine.dispose(close=False)
    perform(engine, run_id, seconds=WINDOW_SECONDS + 1)


def _people(port: int, cookie: str, length: float) -> list[float]:
    """Simulate a few users who load pages for so long; returns the seconds of every request."""
    found: list[float] = []
    end = time.monotonic() + length

    def visit(number: int) -> None:
        chance = random.Random(number)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.monotonic() < end:
            time.sleep(chance.uniform(0, 2 * PAUSE_SECONDS))
            began = time.perf_counter()
            connection.request("GET", chance.choice(PATHS), headers={"Cookie": cookie})
            answer = connection.getresponse()
            answer.read()
            found.append(time.perf_counter() - began)
            assert answer.status == 200, answer.status
        connection.close()

    visitors = [threading.Thread(target=visit, args=(n,)) for n in range(PEOPLE)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    return found
