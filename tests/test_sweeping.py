"""The tests' own checks: any drift that a test leaves is found, and a kept book is restored exactly."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Engine, Integer, Numeric

from backoffice.figures import registry
from backoffice.figures.verifying.findings import _facts
from tests.drift.whole_book import write_everything
from tests.faults.workers import book as many_orders
from tests.rightness import SMALL, is_right
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
    book: None,
    sweeper: Sweeper,
    surgery: psycopg.Connection[Any],
    asked_database: Engine,
    assert_no_drift: Callable[[], None],
) -> None:
    def change(statement: str) -> int:
        return surgery.execute(statement.encode()).rowcount

    def is_found() -> None:
        assert not is_right(asked_database)
        with pytest.raises(AssertionError, match="left figures wrong"):
            assert_no_drift()

    assert sweeper.most <= SMALL
    assert is_right(asked_database)
    tried = []
    for figure in (figure for figure in registry.figures if not figure.generated):
        for column in (c for c in figure.columns if isinstance(c.type, Numeric | Integer)):
            shift = f"UPDATE {figure.table.name} SET {column.name} = {column.name} + {{}}"
            assert change(shift.format(7)), figure.name
            is_found()
            change(shift.format(-7))
            tried.append(column)
        assert is_right(asked_database)
    assert len(tried) > 20
    for fact in ("order_lines SET quantity", "payments SET amount", "meter_adjustments SET amount"):
        change(f"UPDATE {fact} = {fact.split()[-1]} + 1")
        is_found()
        change(f"UPDATE {fact} = {fact.split()[-1]} - 1")
    assert is_right(asked_database)


def test_rows_that_are_left_without_their_owner_are_found(
    book: None,
    surgery: psycopg.Connection[Any],
    asked_database: Engine,
    assert_no_drift: Callable[[], None],
) -> None:
    """It finds rows of figures, and facts that name an owner."""
    named = {f.owner for f in registry.figures if f.owner is not f.primary_key}
    named |= {s.owner for f in registry.figures for s in _facts(registry, f)}
    strayed = []
    for column in sorted(named, key=str):
        move = f"UPDATE {column.table.name} SET {column.name} = {column.name} + {{}} WHERE {column.name} IS NOT NULL"
        if surgery.execute(move.format(1_000_000).encode()).rowcount:
            assert not is_right(asked_database), column
            with pytest.raises(AssertionError, match="left figures wrong"):
                assert_no_drift()
            surgery.execute(move.format(-1_000_000).encode())
            assert is_right(asked_database), column
            strayed.append(str(column))
    assert {"invoices.meter_id", "journal_lines.account_id"} <= set(strayed), strayed


@pytest.mark.parametrize("rows", [10, SMALL + 10])
def test_what_is_left_wrong_in_a_large_book_is_found_too(
    rows: int,
    app: Flask,
    sweeper: Sweeper,
    surgery: psycopg.Connection[Any],
    assert_no_drift: Callable[[], None],
) -> None:
    many_orders(surgery, rows)
    assert sweeper.most >= rows
    assert_no_drift()
    surgery.execute(b"UPDATE orders SET grand_total = grand_total + 1 WHERE number = 'D-3'")
    with pytest.raises(AssertionError, match="left figures wrong, 1 rows"):
        assert_no_drift()


def test_it_is_asked_anew_where_a_test_has_ended_the_connection(
    book: None, asked_database: Engine, surgery: psycopg.Connection[Any]
) -> None:
    assert is_right(asked_database)
    ended = surgery.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'backoffice_owner'"
    )
    assert ended.fetchall()
    assert is_right(asked_database)


def test_a_write_that_ends_beside_a_later_one_is_seen(
    app: Flask, sweeper: Sweeper, surgery: psycopg.Connection[Any], owner_database_url: str
) -> None:
    insert = "INSERT INTO products (code, name) VALUES (%s, 'Product')"
    with psycopg.connect(owner_database_url) as slow:
        slow.execute(insert, ["slow"])
        surgery.execute(insert, ["quick"])
        sweeper.leave()
        assert not sweeper.is_written
        slow.commit()
        assert sweeper.is_written
        assert "products" in sweeper.changed()


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
