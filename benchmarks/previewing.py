"""(c) The live preview of an order form, beside the empty signed-in route."""

from functools import partial
from statistics import median
from typing import Any

from backoffice.database.embedded import ADMIN

from .book import load
from .orders import LINES, REDUCTIONS
from .report import Measured, Report
from .served import requests_per_second
from .timing import in_turn, summary, timed
from .web import EMPTY, Request, csrf_token_in, logged_to_nowhere, sign_in, with_empty_route
from .world import World

BAR = 1 / 3
EMPTY_BAR_MS = 5.0
ORDERS = 10_000
ROUNDS = 500
PREVIEW = "/orders/preview"

Form = dict[str, str | list[str]]


def measure(world: World, scale: float) -> Report:
    """Time requests straight to the app, one at a time; then the same through gunicorn."""
    world.empty()
    with world.connect(ADMIN) as connection:
        load(connection, ORDERS, falsified=False)
    world.settle()
    headers, seconds = _direct(world, max(20, int(ROUNDS * scale)))
    served = requests_per_second(world, headers, typed_order(len(LINES)), max(1, round(5 * scale)))
    numbers: dict[str, Any] = {name: summary(times) for name, times in seconds.items()}
    numbers["gunicorn_requests_per_second"] = served
    return Report(_measured(seconds, served), numbers)


def _direct(world: World, rounds: int) -> tuple[dict[str, str], dict[str, list[float]]]:
    """The headers of a signed-in browser, and the seconds of its requests straight to the app."""
    app = with_empty_route(world.app_on("backoffice"))
    headers = {"Cookie": sign_in(app, user_id=1)}
    with logged_to_nowhere():
        empty = Request(app, EMPTY, headers)
        headers |= {"X-CSRFToken": csrf_token_in(empty.send()), "HX-Request": "true"}
        sides = {"empty": empty} | {
            f"preview_{lines}": Request(app, PREVIEW, headers, typed_order(lines))
            for lines in (len(LINES), 40)
        }
        page = sides["preview_4"].send()
        assert b"44,575,001.22" in page, "The preview shows another grand total."
        runs = {name: partial(timed, request.send) for name, request in sides.items()}
        return headers, in_turn(runs, rounds, warm_up=20)


def _measured(seconds: dict[str, list[float]], served: dict[str, list[float]]) -> list[Measured]:
    def share(name: str) -> float:
        return median(seconds["empty"]) / median(seconds[name])

    through = median(served["preview"]) / median(served["empty"])
    unit = "× empty route"
    return [
        Measured("c", "preview of 4 lines", share("preview_4"), unit, BAR, at_least=True),
        Measured("c", "preview of 40 lines", share("preview_40"), unit),
        Measured("c", "preview of 4 lines through gunicorn", through, unit),
        Measured(
            "c", "the empty signed-in route", median(seconds["empty"]) * 1000, "ms", EMPTY_BAR_MS
        ),
    ]


def typed_order(lines: int) -> Form:
    """The order form as the browser posts it, with that many lines typed."""
    form: Form = {
        "number": "BENCH-1",
        "customer": "C1",
        "account_manager": "1",
        "order_date": "2026-03-02",
        "closing_date": "",
        "total_price": "0",
        "additions": "0",
        "promo": "0",
        "reductions": f"{REDUCTIONS:,}",
        "itemised": ["package", "addition", "promo"],
        "version": "0",
        "idempotency_key": "none",
    }
    for index in range(lines):
        line = LINES[index % len(LINES)]
        form |= {
            f"lines-{index}-line": "",
            f"lines-{index}-kind": line.kind,
            f"lines-{index}-description": "Item",
            f"lines-{index}-quantity": f"{line.quantity:,}",
            f"lines-{index}-unit_price": f"{line.unit_price:,}",
        }
    return form
