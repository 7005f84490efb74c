"""(m) The revenue report of a year over a million orders, as stored, beside one hand-written sum.

Reported without a bar: a page shows two years, shares and a chart, the other side is one sum of the twelve months.
"""

from functools import partial
from statistics import median
from typing import Any

from psycopg import Connection

from backoffice.database.embedded import ADMIN

from .listing import load
from .report import Measured, Report
from .timing import in_turn, ratio, summary, timed
from .web import Request, logged_to_nowhere, sign_in, with_empty_route
from .world import World

ORDERS = 1_000_000
ROUNDS = 15
BY_MONTH = """
SELECT date_trunc('month', closing_date::timestamp), sum(grand_total), count(*)
FROM orders WHERE closing_date BETWEEN '2024-01-01' AND '2024-12-31' GROUP BY 1 ORDER BY 1
"""


def measure(world: World, scale: float) -> Report:
    """Time each dimension's page in turn with the statement."""
    orders = max(30_000, int(ORDERS * scale))
    with world.connect(ADMIN) as connection:
        load(world, connection, orders)
    app = with_empty_route(world.app_on("backoffice"))
    headers = {"Cookie": sign_in(app, user_id=1)}
    pages = ("month", "manager", "customer")
    with logged_to_nowhere(), world.connect() as connection:
        requests = {name: Request(app, f"/reports/{name}?year=2024", headers) for name in pages}
        sides = {name: partial(timed, request.send) for name, request in requests.items()}
        sides["one statement"] = lambda: timed(partial(_rows, connection))
        assert len(_rows(connection)) == 12
        seconds = in_turn(sides, max(5, int(ROUNDS * scale)), warm_up=2)
    measured = [
        Measured("m", f"revenue by {name}", median(seconds[name]) * 1000, "ms") for name in pages
    ]
    shares = [
        Measured(
            "m", f"revenue by {name}", ratio(seconds[name], seconds["one statement"]), "× one sum"
        )
        for name in pages
    ]
    return Report(measured + shares, {name: summary(times) for name, times in seconds.items()}, {})


def _rows(connection: Connection[Any]) -> list[Any]:
    return connection.execute(BY_MONTH.encode()).fetchall()
