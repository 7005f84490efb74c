"""(t) Gas on the screen: a month typed into the grid beside plain SQL, and the preview of a price of 24 months.

The book of (s). The plain SQL stores the same rows, from a file, under the same triggers.
"""

import sys
import tempfile
from collections.abc import Callable
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path
from statistics import quantiles
from typing import Any

from werkzeug.test import Client

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.base.periods import Month
from backoffice.database.embedded import ADMIN
from backoffice.gas.entry.sheet import MOST
from backoffice.gas.figures import GAS_FIGURES

from .gas import FIRST, TODAY, _import_by_hand, _load
from .report import Measured, Report
from .statements import statements_of
from .timing import Side, in_turn, ratio, summary, timed
from .web import EMPTY, Request, csrf_token_in, logged_to_nowhere, sign_in, with_empty_route
from .world import World

BEYOND_MS = 100.0
GRID_ROUNDS, PREVIEW_ROUNDS = 5, 200
VOLUME = "13.5"


def measure(world: World, scale: float) -> Report:
    """Time the grid's month first; then the preview of a new price from the first day on."""
    many = max(50, int(MOST * min(scale, 1)))
    world.empty()
    with world.connect(ADMIN) as surgery:
        print(f"    loading {2 * many:,} customers …", file=sys.stderr)
        _load(surgery, 2 * many)
    world.settle()
    app = with_empty_route(world.app_on("backoffice"))
    headers = {"Cookie": sign_in(app, user_id=1)}
    rounds = max(20, int(PREVIEW_ROUNDS * scale))
    with logged_to_nowhere(), world.connect() as hand, tempfile.TemporaryDirectory() as folder:
        empty = Request(app, EMPTY, headers)
        headers |= {"X-CSRFToken": csrf_token_in(empty.send()), "HX-Request": "true"}
        preview = Request(app, "/gas/prices/preview", headers, _new_price())
        assert b"December 2025" in preview.send(), "The preview shows other months."
        seen = {"empty": partial(timed, empty.send), "preview": partial(timed, preview.send)}
        pages = in_turn(seen, rounds, warm_up=5)
        text = statements_of(seen["preview"], 10)
        sides = _typing(Client(app, use_cookies=False), headers, hand, Path(folder), many)
        typed = in_turn(sides, max(3, int(GRID_ROUNDS * scale)))
    with app.app_context():
        wrong = [*figures.verify(db.engine, GAS_FIGURES)]
        assert not wrong, "figures are wrong after the benchmark"
    beyond = 1000 * (_p95(pages["preview"]) - _p95(pages["empty"]))
    return Report(
        [
            Measured("t", f"a month's readings of {many:,} customers by the grid, beside it by hand",
                     ratio(typed["grid"], typed["grid by hand"]), "×", 3.0),
            Measured("t", "preview of a price over 24 months, p95 beyond the empty route's", beyond, "ms", BEYOND_MS),
        ],
        {name: summary(seconds) for name, seconds in (typed | pages).items()},
        {"(t) where a preview's time goes": text},
    )  # fmt: skip


def _p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20, method="inclusive")[-1]


def _new_price() -> dict[str, str]:
    """The form as a browser sends it while a user types: another price from the first day of the book."""
    return {
        "customer": "G-1", "effective_from": FIRST.isoformat(), "price_per_sm3": "11000.50",
        "correction_factor": "1.02", "version": "", "idempotency_key": "none",
    }  # fmt: skip


def _typing(
    client: Client, headers: dict[str, str], hand: Any, folder: Path, many: int
) -> dict[str, Side]:
    """A reading of one day of each of the first customers by the grid, and of the others by plain SQL."""

    def each(first: int, work: Callable[[range, date], float]) -> Side:
        days = count(1)
        return lambda: work(range(first, first + many), TODAY.replace(day=next(days)))

    def grid(customers: range, day: date) -> float:
        form = {
            "month": str(Month.of(day)), "idempotency_key": f"grid-{day}",
            "customer": [f"G-{number}" for number in customers],
            "day": [day.isoformat()] * many, "volume": [VOLUME] * many,
        }  # fmt: skip
        plain = {name: value for name, value in headers.items() if name != "HX-Request"}
        answers: list[Any] = []
        seconds = timed(lambda: answers.append(client.post("/gas/entry", headers=plain, data=form)))
        assert answers[0].status_code == 303, answers[0].text
        return seconds

    def by_hand(customers: range, day: date) -> float:
        path = folder / f"{day}.csv"
        rows = [f"G-{number},{day},{VOLUME}" for number in customers]
        path.write_text("\n".join(["customer_code,read_on,metered_volume_m3", *rows, ""]))
        return timed(partial(_import_by_hand, hand, path, Month.of(day), day))

    return {"grid": each(1, grid), "grid by hand": each(many + 1, by_hand)}
