"""(d) The list of a million orders, its first and its 500th page, beside the empty signed-in route."""

from functools import partial
from statistics import median, quantiles
from typing import Any

from psycopg import Connection

from backoffice.database.embedded import ADMIN

from .report import Measured, Report
from .statements import statements_of
from .timing import Side, in_turn, summary, timed
from .web import EMPTY, Request, logged_to_nowhere, sign_in, with_empty_route
from .world import World

ORDERS = 1_000_000
ROUNDS = 100
FAR_PAGE = 500
EMPTY_TIMES, ALLOWANCE_MS = 3, 50.0
TOTALS_BAR_MS = 300.0

_BOOK = """
INSERT INTO users (id, email, name, role) OVERRIDING SYSTEM VALUE
  SELECT n, 'person' || n || '@example.com', 'Person ' || n,
         CASE WHEN n = 1 THEN 'finance' ELSE 'account_manager' END
  FROM generate_series(1, 51) AS n;
INSERT INTO customers (id, code, name) OVERRIDING SYSTEM VALUE
  SELECT n, 'C' || n, 'Customer ' || n FROM generate_series(1, 5000) AS n;
INSERT INTO orders (id, number, customer_id, account_manager_id, order_date, closing_date,
                    total_price, additions, promo, reductions, grand_total) OVERRIDING SYSTEM VALUE
  SELECT n, 'SO-' || lpad(n::text, 7, '0'), 1 + hash % 5000, 2 + (hash / 7) % 50, ordered,
         CASE WHEN hash % 5 > 0 THEN ordered + 3 + hash % 40 END, a, b, p, r, a + b - p - r
  FROM (
    SELECT n, hash, date '2019-01-01' + hash % 2500 AS ordered,
           1000000 + (hash % 90000000) / 100.0 AS a, (hash % 900000) / 100.0 AS b,
           (hash % 70000) / 100.0 AS p, (hash % 30000) / 100.0 AS r
    FROM (SELECT n, hashint8(n) & 2147483647 AS hash FROM generate_series(1, {orders}) AS n) numbered
  ) drawn
"""
"""Orders without lines, with grand totals by the formula: a list reads no lines."""


def measure(world: World, scale: float) -> Report:
    """Time the pages in turn with the empty route, and the totals that are loaded after them."""
    orders = max(30_000, int(ORDERS * scale))
    with world.connect(ADMIN) as connection:
        load(world, connection, orders)
    app = with_empty_route(world.app_on("backoffice"))
    headers = {"Cookie": sign_in(app, user_id=1)}
    partial_headers = headers | {"HX-Request": "true"}
    with logged_to_nowhere():
        requests = {
            "empty": Request(app, EMPTY, headers),
            "first": Request(app, "/orders", headers),
            "far": Request(app, f"/orders?page={FAR_PAGE}", headers),
            "own_far": Request(app, f"/orders?page={FAR_PAGE}&manager=7", headers),
            "totals": Request(app, "/orders?totals=1", partial_headers),
        }
        assert requests["first"].send().count(b'class="row-link"') == 50
        assert f"{orders:,}".encode() in requests["totals"].send()
        sides: dict[str, Side] = {n: partial(timed, r.send) for n, r in requests.items()}
        seconds = in_turn(sides, max(20, int(ROUNDS * scale)), warm_up=5)
        texts = {f"{name} page": statements_of(sides[name], 10) for name in ("first", "far")}
    return Report(_measured(seconds), {n: summary(t) for n, t in seconds.items()}, texts)


def load(world: World, connection: Connection[Any], orders: int) -> None:
    """Fill the empty tables, in the state of a book without recent writes."""
    world.empty()
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(_BOOK.format(orders=orders).encode())
    world.settle()


def p95(seconds: list[float]) -> float:
    """The 95th percentile in milliseconds."""
    return quantiles(seconds, n=20, method="inclusive")[-1] * 1000


def _measured(seconds: dict[str, list[float]]) -> list[Measured]:
    bar = EMPTY_TIMES * p95(seconds["empty"]) + ALLOWANCE_MS
    totals = median(seconds["totals"]) * 1000
    return [
        Measured("d", "first page, p95", p95(seconds["first"]), "ms", bar),
        Measured("d", f"page {FAR_PAGE}, p95", p95(seconds["far"]), "ms", bar),
        Measured(
            "d", f"page {FAR_PAGE} of one account manager, p95", p95(seconds["own_far"]), "ms"
        ),
        Measured("d", "totals of the whole filter", totals, "ms", TOTALS_BAR_MS),
        Measured("d", "totals of the whole filter, p95", p95(seconds["totals"]), "ms"),
        Measured("d", "the empty signed-in route, p95", p95(seconds["empty"]), "ms"),
    ]
