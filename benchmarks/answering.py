"""(n) The empty signed-in route, beside a bare Flask view that reads one row."""

import time
from functools import partial
from typing import Any

from flask import Flask
from psycopg import Connection

from backoffice.database.embedded import ADMIN

from .book import load
from .report import Measured, Report
from .statements import statements_of
from .timing import Side, in_turn, ratio, summary, timed
from .web import EMPTY, Request, logged_to_nowhere, sign_in, with_empty_route
from .world import World

BAR = 3.0
ORDERS = 1_000
ROUNDS = 3_000
BARE = "/orders/7"
BATCH = 50
"""Requests of one side that are timed together, since the CPU clock is coarse."""


def measure(world: World, scale: float) -> Report:
    """Time requests straight to the two WSGI apps, in turn."""
    world.empty()
    with world.connect(ADMIN) as connection:
        load(connection, ORDERS, falsified=False)
    world.settle()
    app = with_empty_route(world.app_on("backoffice"))
    with world.connect() as connection, logged_to_nowhere():
        ours = partial(timed, Request(app, EMPTY, {"Cookie": sign_in(app, user_id=1)}).send)
        bare = partial(timed, Request(_bare(connection), BARE, {}).send)
        rounds = max(200, int(ROUNDS * scale))
        seconds = in_turn({"ours": ours, "bare": bare}, rounds, warm_up=100)
        worked = in_turn(
            {name: partial(_worked, side) for name, side in (("ours", ours), ("bare", bare))},
            max(10, rounds // BATCH), warm_up=0,
        )  # fmt: skip
        texts = {"(n) where the empty route's time goes": statements_of(ours, 200)}
    times = ratio(seconds["ours"], seconds["bare"])
    fastest = min(seconds["ours"]) / min(seconds["bare"])
    numbers: dict[str, Any] = {name: summary(runs) for name, runs in seconds.items()}
    return Report(
        [
            Measured("n", "the empty signed-in route", times, "× bare Flask", BAR),
            Measured("n", "the same, the fastest run of each side", fastest, "× bare Flask"),
            Measured(
                "n",
                "the same, the processor's time of Python alone",
                ratio(worked["ours"], worked["bare"]),
                "× bare Flask",
            ),
        ],
        numbers,
        texts,
    )


def _worked(side: Side) -> float:
    """CPU seconds of a request: waits for the database, or for a busy machine, are not included."""
    before = time.process_time()
    for _ in range(BATCH):
        side()
    return (time.process_time() - before) / BATCH


def _bare(connection: Connection[Any]) -> Flask:
    """An app of Flask and one query only, over an open connection."""
    app = Flask("bare")

    @app.get("/orders/<int:order_id>")
    def order(order_id: int) -> str:
        found = connection.execute("SELECT number FROM orders WHERE id = %s", [order_id]).fetchone()
        return found[0] if found else ""

    return app
