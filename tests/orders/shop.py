"""Two orders to which the tests of figures write in every way, and the comparison of their totals.

The expected effect of a write is computed by a `Book`, which is independent of the product.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy import select

from backoffice import figures
from backoffice.base import table_of
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.orders.models import Order, OrderLine
from tests.factories.orders import OrderFactory

from .books import Book, Totals, stored

LINES = table_of(OrderLine)
ORDERS = table_of(Order)
TOTALS = ("total_price", "additions", "promo", "reductions", "grand_total")


@dataclass
class Shop:
    """Two orders: `itemised` with lines, and `entered` mostly with amounts; and their lines."""

    itemised: int
    entered: int
    first_line: int
    second_line: int
    discount: int
    book: Book


def open_shop(session: Any, outside: psycopg.Connection[Any]) -> Shop:
    """Create the two orders, without drift."""
    itemised = OrderFactory(
        additions=Decimal("32.38"),
        reductions=Decimal("1.25"),
        lines=[
            ("package", "Queso Cabrales", "12", "14.00"),
            ("package", "Mozzarella di Giovanni", "10", "9.80"),
            ("promo", "Discount", "1", "26.60"),
        ],
    )
    entered = OrderFactory(lines=[("addition", "Freight", "1", "65.83")])
    session.commit()
    keys = [line.id for line in itemised.lines]
    session.rollback()  # a TRUNCATE waits even for readers
    book = Book.read(outside)
    assert stored(outside) == book.totals()
    return Shop(itemised.id, entered.id, *keys, book=book)


def read(session: Any) -> Totals:
    """Every figure as this session reads it, in its transaction."""
    found: dict[tuple[str, int], dict[str, Decimal]] = {}
    for key, amount in session.execute(select(OrderLine.id, OrderLine.amount)):
        found["order_lines", key] = {"amount": amount}
    for key, *amounts in session.execute(select(Order.id, *(ORDERS.c[c] for c in TOTALS))):
        found["orders", key] = dict(zip(TOTALS, amounts, strict=True))
    return found


def right_in_the_transaction_and_at_commit(
    session: Any, outside: psycopg.Connection[Any], write: Callable[[], None], book: Book
) -> None:
    """Assert that figures are right after `write`, uncommitted or committed, and restored by a rollback."""
    before = stored(outside)
    write()
    session.flush()
    assert _named(read(session), book) == book.totals()
    session.rollback()
    assert stored(outside) == before
    write()
    session.commit()
    assert _named(stored(outside), book) == book.totals()
    assert set(figures.noted(session).values()) == {0}
    with_cause = outside.execute("SELECT count(*) FROM corrections").fetchone()
    assert with_cause == (0,)


def _named(totals: Totals, book: Book) -> Totals:
    """`totals` with new rows, oldest first, renumbered to the ids 0, −1, … that the model has given them."""
    given = dict(totals)
    for table, rows in (("orders", book.orders), ("order_lines", book.lines)):
        unknown = sorted(k for t, k in totals if t == table and k not in rows)
        expected = sorted((k for k in rows if k <= 0), reverse=True)
        for key, name in zip(unknown, expected, strict=False):
            given[table, name] = given.pop((table, key))
    return given


def noted_then_right(
    session: Any, outside: psycopg.Connection[Any], book: Book, *, db_user: str
) -> None:
    """Assert that another program's write is counted, is drift, and is corrected by one `heal_noted`."""
    before = stored(outside)
    assert before != book.totals()
    noted = figures.noted(session)
    assert min(noted[figure] for figure in ORDER_FIGURES) > 0
    drifted = {(f.figure.table.name, f.key["id"]) for f in figures.verify(session)}
    wrong = {row for row, totals in book.totals().items() if before[row] != totals}
    assert drifted == wrong
    known = _corrections(outside)
    drained = figures.heal_noted(session)
    assert stored(outside) == book.totals()
    assert set(figures.noted(session).values()) == {0}
    left = {key: row for key, row in _corrections(outside).items() if key not in known}
    assert sorted(left) == sorted(drained.corrections)
    _each_tells_what_changed(list(left.values()), before, book, db_user)
    assert figures.heal_noted(session).corrections == []


def _corrections(outside: psycopg.Connection[Any]) -> dict[int, tuple[Any, ...]]:
    query = "SELECT id, figure, key, before, after, cause, db_user FROM corrections"
    return {row[0]: row[1:] for row in outside.execute(query)}


def _each_tells_what_changed(
    corrections: list[tuple[Any, ...]], before: Totals, book: Book, db_user: str
) -> None:
    """Assert one correction per changed figure row, from the stored to the expected value."""
    columns = {
        "order_lines.amount": ("order_lines", ("amount",)),
        "orders.components": ("orders", TOTALS[:4]),
        "orders.grand_total": ("orders", ("grand_total",)),
    }
    found = {}
    for figure, key, old, new, cause, who in corrections:
        assert (cause, who) == ("bypass", db_user)
        _, names = columns[figure]
        assert set(old) == set(new) == set(names)
        found[figure, key["id"]] = (
            [Decimal(old[n]) for n in names],
            [Decimal(new[n]) for n in names],
        )
    expected = {
        (figure, key): ([before[table, key][n] for n in names], [totals[n] for n in names])
        for figure, (table, names) in columns.items()
        for (kind, key), totals in book.totals().items()
        if kind == table and any(before[table, key][n] != totals[n] for n in names)
    }
    assert found == expected
