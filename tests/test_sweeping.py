"""What the tests' own law rests on: whatever a test leaves wrong is found, and a kept book is put down as it was."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Integer, Numeric

from backoffice.figures import registry
from tests.conftest import assert_no_drift
from tests.drift.whole_book import write_everything
from tests.sweeping import Sweeper

Kept = Callable[[str, Callable[[], object]], None]

pytestmark = pytest.mark.leaves_drift

DOINGS = {
    "nothing": "SELECT 1",
    "a row is changed": "UPDATE orders SET promo = promo + 1",
    "a row is deleted": "DELETE FROM order_lines WHERE position = 0",
    "a row takes another's place": "DELETE FROM order_lines WHERE position = 0;"
    "INSERT INTO order_lines (order_id, kind, quantity, unit_price, position) VALUES (1, 'package', 1, 1, 0)",
    "a key is changed": "UPDATE payments SET id = id + 100",
    "a table is emptied": "TRUNCATE invoices CASCADE",
    "a table that was empty is written": "INSERT INTO products (code, name) VALUES ('P', 'Product')",
    "days are locked and closed": "UPDATE book SET locked_until = '2026-01-31', closed_until = '2026-02-28'",
    "a counter moves on": "SELECT setval('orders_id_seq', 999)",
}


@pytest.fixture
def book(kept_book: Kept, app: Flask, session: Any) -> None:
    kept_book("everything, to be put down", write_everything)


def everything(outside: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    """Every row of every table, and every counter."""
    tables = outside.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
    ).fetchall()
    found = {
        name: outside.execute(f"SELECT t::text FROM public.{name} t ORDER BY 1".encode()).fetchall()
        for (name,) in tables
    }
    counters = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1"
    return found | {"counters": outside.execute(counters).fetchall()}


@pytest.mark.parametrize("doing", DOINGS)
def test_a_kept_book_is_put_down_as_it_was(
    doing: str, book: None, sweeper: Sweeper, surgery: psycopg.Connection[Any]
) -> None:
    before = everything(surgery)
    assert before["orders"]
    for statement in DOINGS[doing].split(";"):
        surgery.execute(statement.encode())
    sweeper.leave()
    sweeper.put_down("everything, to be put down")
    assert everything(surgery) == before
    sweeper.sweep()
    assert everything(surgery)["orders"] == []
    sweeper.put_down("everything, to be put down")
    assert everything(surgery) == before


def test_whatever_figure_is_left_wrong_is_found(
    book: None, app: Flask, sweeper: Sweeper, surgery: psycopg.Connection[Any]
) -> None:
    assert_no_drift(app, sweeper.changed())
    for figure in (figure for figure in registry.figures if not figure.generated):
        for column in (c for c in figure.columns if isinstance(c.type, Numeric | Integer)):
            change = f"UPDATE {figure.table.name} SET {column.name} = {column.name} + {{}}"
            surgery.execute(change.format(7).encode())
            with pytest.raises(AssertionError, match="left figures wrong"):
                assert_no_drift(app, sweeper.changed())
            surgery.execute(change.format(-7).encode())
    for fact in ("order_lines SET quantity", "payments SET amount", "meter_adjustments SET amount"):
        surgery.execute(f"UPDATE {fact} = {fact.split()[-1]} + 1".encode())
        with pytest.raises(AssertionError, match="left figures wrong"):
            assert_no_drift(app, sweeper.changed())
        surgery.execute(f"UPDATE {fact} = {fact.split()[-1]} - 1".encode())
    surgery.execute(b"DELETE FROM orders")
    with pytest.raises(AssertionError, match="left figures wrong"):
        assert_no_drift(app, sweeper.changed())


def test_a_test_that_only_reads_has_changed_nothing(
    book: None, session: Any, sweeper: Sweeper
) -> None:
    session.execute(registry.figures[0].table.select()).all()
    session.execute(registry.figures[0].table.select().with_for_update()).all()
    session.rollback()
    assert sweeper.changed() == set()


def test_a_book_is_not_put_down_over_what_a_test_has_written(
    kept_book: Kept, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("INSERT INTO customers (code, name) VALUES ('C', 'Customer')")
    with pytest.raises(AssertionError, match="before anything else"):
        kept_book("everything, to be put down", write_everything)
