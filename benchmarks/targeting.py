"""(f) The targets of 500 managers over 12 months as stored, beside computing them from the orders."""

import sys
from functools import partial
from typing import Any

from psycopg import Connection

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.database.embedded import ADMIN
from backoffice.targets.figures import achieved
from tests.surgery import tell_of_everything

from .report import Measured, Report
from .timing import in_turn, ratio, summary, timed
from .world import World

MANAGERS = 500
ORDERS = 1_000_000
BAR = 0.25
ROUNDS = 15

PEOPLE = """
INSERT INTO users (email, name, role)
SELECT 'manager' || n || '@example.com', 'Manager ' || n, 'account_manager'
FROM generate_series(1, %s) AS n
"""

BOOK = """
INSERT INTO orders (number, customer_id, account_manager_id, order_date, closing_date,
                    total_price, grand_total)
SELECT 'SO-' || n, 1, n %% %s + 1, '2026-01-01',
       '2026-01-01'::date + (n * 37 %% 365)::int, n %% 100000, n %% 100000
FROM generate_series(1, %s) AS n
"""

STORED = """
SELECT u.name, t.month, t.target, t.achieved, t.orders_closed
FROM account_manager_targets t JOIN users u ON u.id = t.account_manager_id
WHERE t.month BETWEEN '2026-01-01' AND '2026-12-01'
ORDER BY u.name, t.month
"""

COMPUTED = """
SELECT u.name, c.month, t.target, c.achieved, c.orders_closed
FROM (SELECT account_manager_id, date_trunc('month', closing_date::timestamp)::date AS month,
             sum(grand_total) AS achieved, count(*)::int AS orders_closed
      FROM orders WHERE closing_date BETWEEN '2026-01-01' AND '2026-12-31'
      GROUP BY 1, 2) c
JOIN users u ON u.id = c.account_manager_id
LEFT JOIN account_manager_targets t ON t.account_manager_id = u.id AND t.month = c.month
ORDER BY u.name, c.month
"""


def measure(world: World, scale: float) -> Report:
    """Time both lists in turn, complete, as the app's role; they must be equal."""
    orders = max(MANAGERS * 12, int(ORDERS * scale))
    rebuild = _book(world, orders)
    with world.connect() as connection:
        stored, computed = _rows(connection, STORED), _rows(connection, COMPUTED)
        assert len(stored) == MANAGERS * 12, f"{len(stored)} months are stored"
        assert stored == computed, "The stored months differ from what the orders come to."
        seconds = in_turn(
            {
                "stored": lambda: timed(partial(_rows, connection, STORED)),
                "computed": lambda: timed(partial(_rows, connection, COMPUTED)),
            },
            ROUNDS,
        )
    numbers: dict[str, Any] = {name: summary(runs) for name, runs in seconds.items()}
    numbers |= {"orders": orders, "rebuild_seconds": round(rebuild, 2)}
    title = f"targets of {MANAGERS} managers × 12 months over {orders:,} orders"
    share = ratio(seconds["stored"], seconds["computed"])
    return Report(
        [
            Measured("f", title, share, "× computing", BAR),
            Measured("f", "rebuilding all of them", rebuild, "s"),
        ],
        numbers,
    )


def _book(world: World, orders: int) -> float:
    """Fill the empty tables with triggers disabled, then have the core build the months; returns its seconds."""
    world.empty()
    print(f"    loading {orders:,} orders …", file=sys.stderr)
    with world.connect(ADMIN) as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(PEOPLE, [MANAGERS])
        connection.execute("INSERT INTO customers (code, name) VALUES ('C', 'Customer')")
        connection.execute(BOOK, [MANAGERS, orders])
        tell_of_everything(connection)
    world.settle()
    with world.app.app_context():
        seconds = timed(lambda: figures.heal(db.engine, [achieved], every_owner=True))
    world.settle()
    return seconds


def _rows(connection: Connection[Any], query: str) -> list[Any]:
    return connection.execute(query.encode()).fetchall()
