"""(e) CSV of a million orders, beside PostgreSQL's own COPY of the same query."""

import os
from decimal import Decimal
from statistics import median
from typing import Any

from sqlalchemy.dialects import postgresql

from backoffice.app.extensions import db
from backoffice.database.embedded import ADMIN
from backoffice.lists import state_of
from backoffice.lists.queries import matching, order_of
from backoffice.orders.listing import ORDERS as LISTING
from backoffice.people.models import User

from .listing import ORDERS, load
from .report import Measured, Report
from .timing import in_turn, summary, timed
from .web import Request, logged_to_nowhere, sign_in, unlimited, with_empty_route
from .world import World

BAR = 0.5
MEMORY_BAR_MB = 50.0
ROUNDS = 5
PATH = "/orders/export.csv"


def measure(world: World, scale: float) -> Report:
    """Time both in turn; each side reads every block and discards it."""
    orders = max(10_000, int(ORDERS * scale))
    with world.connect(ADMIN) as connection:
        load(world, connection, orders)
    app = with_empty_route(world.app_on("backoffice"))
    with app.app_context():
        query = _plain_query(db.session.get_one(User, 1))
        db.session.rollback()
    with logged_to_nowhere(), unlimited():
        export = Request(app, PATH, {"Cookie": sign_in(app, user_id=1)})
        _check(world, export, orders)
        grown = max(_growth(export) for _ in range(2))
        sides = {
            "ours": lambda: timed(lambda: sum(map(len, export.blocks()))),
            "copy": lambda: timed(lambda: _copied(world, query)),
        }
        seconds = in_turn(sides, ROUNDS)
    ratio = median(seconds["copy"]) / median(seconds["ours"])
    rate = orders / median(seconds["ours"])
    figures = [
        Measured("e", "rows a second of CSV", ratio, "× COPY", BAR, at_least=True),
        Measured("e", "memory that an export takes", grown, "MB", MEMORY_BAR_MB),
        Measured("e", "rows a second", rate, "rows/s"),
    ]
    return Report(figures, {n: summary(t) for n, t in seconds.items()}, {"the query": query})


def _plain_query(user: User) -> str:
    """The list's own SELECT, with its values as stored."""
    state = state_of(LISTING, {})
    columns = (LISTING.column(name).value for name in state.columns)
    rows = matching(user, state)
    statement = rows.with_only_columns(*columns).order_by(*order_of(rows, state))
    return str(
        statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    )


def _copied(world: World, query: str) -> int:
    statement = f"COPY ({query}) TO STDOUT (FORMAT csv)".encode()
    with world.connect() as connection, connection.cursor().copy(statement) as copy:
        return sum(map(len, copy))


def _check(world: World, export: Request, orders: int) -> None:
    """Assert that the file has every row, and ends with the sum that PostgreSQL computes."""
    lines, tail = 0, b""
    for block in export.blocks():
        lines += block.count(b"\r\n")
        tail = (tail + block)[-2_000:]
    with world.connect() as connection:
        row = connection.execute("SELECT sum(grand_total) FROM orders").fetchone()
    reported = tail.decode().rstrip().rsplit("\r\n", 1)[-1]
    assert row is not None
    assert Decimal(reported.rsplit(",", 1)[-1]) == row[0], reported
    assert lines == orders + 11, lines  # a head, the control line, nine lines of footer


def _growth(export: Request) -> float:
    """The growth of the process's memory in megabytes while it sends one file."""
    before, highest = _resident(), 0.0
    for _ in export.blocks():
        highest = max(highest, _resident())
    return max(0.0, highest - before)


def _resident() -> float:
    with open("/proc/self/statm") as statm:
        pages: Any = statm.read().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE") / 1024**2
