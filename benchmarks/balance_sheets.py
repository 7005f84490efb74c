"""(y) The page of the balance sheet over five million lines, beside the same page over ten thousand."""

from datetime import date
from functools import partial
from statistics import median

from flask import Flask

from backoffice.base import periods
from backoffice.base.periods import Month
from backoffice.database.embedded import ADMIN

from .ledger_book import load
from .listing import p95
from .report import Measured, Report
from .statements import statements_of
from .timing import Side, in_turn, ratio, summary, timed
from .web import Request, logged_to_nowhere, sign_in
from .world import World

BAR = 1.2
FEW, MANY = 10_000, 5_000_000
YEARS = 3
"""The length of the journal in years; it ends today."""
ROUNDS, REPORTED_ROUNDS = 500, 20
PAGE = "/ledger/balance-sheet"
SMALL = "small"


def measure(world: World, scale: float) -> Report:
    """Time the pages of both books in turn, sent straight to the app; also of an earlier day, only reported."""
    with world.app.app_context():
        today = periods.today()
    _fill(world, FEW, today)
    world.copy_database(SMALL)
    _fill(world, max(2 * FEW, int(MANY * scale)), today)
    last_month = f"?as_of={Month.of(today).previous.last}"
    with logged_to_nowhere():
        small, large = (_pages(world.app_on(name)) for name in (SMALL, "backoffice"))
        sides = {"few lines": small(""), "many lines": large("")}
        seconds = in_turn(sides, max(50, int(ROUNDS * scale)), warm_up=10)
        earlier = in_turn(
            {"10,000 lines": small(last_month), "5,000,000 lines": large(last_month)},
            max(5, int(REPORTED_ROUNDS * scale)),
        )  # fmt: skip
        texts = {"where the page's time goes": statements_of(sides["many lines"], 20)}
    few, many = seconds.values()
    return Report(
        [
            Measured("y", "the page of today, p95, 5,000,000 lines beside 10,000", p95(many) / p95(few), "×", BAR),
            Measured("y", "the same, medians", ratio(many, few), "×"),
            Measured("y", "the page over 5,000,000 lines, p95", p95(many), "ms"),
            Measured("y", "the page over 10,000 lines, p95", p95(few), "ms"),
            *(
                Measured("y", f"the page of the end of last month, {name}, median", median(runs) * 1000, "ms")
                for name, runs in earlier.items()
            ),
        ],
        {name: summary(runs) for name, runs in (seconds | earlier).items()},
        texts,
    )  # fmt: skip


def _fill(world: World, lines: int, today: date) -> None:
    world.empty()
    with world.connect(ADMIN) as connection:
        connection.execute(
            "INSERT INTO users (id, email, name, role) OVERRIDING SYSTEM VALUE "
            "VALUES (1, 'finance@example.com', 'Finance', 'finance')"
        )
        load(connection, lines, today, 365 * YEARS)
    world.settle()


def _pages(app: Flask) -> "partial[Side]":
    """Return the function that makes a side from a query string; checks the page once first."""
    headers = {"Cookie": sign_in(app, user_id=1)}
    page = Request(app, PAGE, headers).send()
    assert b"Total liabilities and equity" in page
    assert b'role="alert"' not in page, "The balance sheet does not balance."
    return partial(_page, app, headers)


def _page(app: Flask, headers: dict[str, str], asked: str) -> Side:
    return partial(timed, Request(app, PAGE + asked, headers).send)
