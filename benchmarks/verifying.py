"""(a) Verifying every figure of a large book, beside one hand-written pass that checks the same."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

from psycopg import Connection
from sqlalchemy import Engine, event

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.database.embedded import ADMIN
from backoffice.orders.figures import ORDER_FIGURES

from .book import Book, load
from .report import Measured, Report
from .timing import in_turn, ratio, summary, timed
from .world import World

ORDERS = 1_000_000
BAR = 1.3
ROUNDS = 9
HAND_WRITTEN = Path(__file__).with_suffix(".sql").read_text()
EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, SETTINGS) "


def measure(world: World, scale: float) -> Report:
    """Time both sides in turn, as the app's role with its default settings."""
    book = _book(world, max(1_000, int(ORDERS * scale)))
    with world.app.app_context():
        engine = db.engine
    with world.connect() as connection:
        sides = {
            "verify": lambda: timed(partial(_verified, engine, book)),
            "hand_written": lambda: timed(partial(_compared, connection, book)),
        }
        seconds = in_turn(sides, ROUNDS)
        plan = _lines(connection.execute((EXPLAIN + HAND_WRITTEN).encode()).fetchall())
    size = f"{book.orders:,} orders, {book.lines:,} lines"
    numbers: dict[str, Any] = {name: summary(runs) for name, runs in seconds.items()}
    numbers |= {"orders": book.orders, "lines": book.lines, "drifted": sorted(book.drifted)}
    fastest = min(seconds["verify"]) / min(seconds["hand_written"])
    return Report(
        [
            Measured(
                "a", f"verify {size}", ratio(seconds["verify"], seconds["hand_written"]), "×", BAR
            ),
            Measured("a", "the same, the fastest run of each side", fastest, "×"),
        ],
        numbers,
        {
            f"(a) the hand-written comparison of {size}": HAND_WRITTEN,
            "(a) its plan": plan,
            "(a) the plan of the first chunk of figures.verify": _plan_of_chunk(engine),
        },
    )


def _book(world: World, orders: int) -> Book:
    world.empty()
    with world.connect(ADMIN) as connection:
        print(f"    loading {orders:,} orders …", file=sys.stderr)
        book = load(connection, orders)
    world.settle()
    return book


def _verified(engine: Engine, book: Book) -> None:
    found = {finding.owner for finding in figures.verify(engine, ORDER_FIGURES)}
    assert found == book.drifted, f"figures.verify found {found ^ book.drifted} wrongly"


def _compared(connection: Connection[Any], book: Book) -> None:
    found = {order for (order,) in connection.execute(HAND_WRITTEN.encode())}
    assert found == book.drifted, f"the comparison found {found ^ book.drifted} wrongly"


def _plan_of_chunk(engine: Engine) -> str:
    """The plan of the first statement of a verification that reads lines."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "order_lines" in statement:
            sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    next(figures.verify(engine, ORDER_FIGURES), None)
    event.remove(engine, "before_cursor_execute", note)
    statement, parameters = sent[0]
    with engine.connect() as connection:
        return _lines(connection.exec_driver_sql(EXPLAIN + statement, parameters).all())


def _lines(rows: Any) -> str:
    return "\n".join(row[0] for row in rows)
