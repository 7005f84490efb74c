"""Savepoints, several sessions and several engines: the figures are right in all of them."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.figures import acting_as
from backoffice.orders.models import Order, OrderLine

from .books import stored
from .shop import LINES, Shop, read, right_in_the_transaction_and_at_commit
from .ways import unit_of_work

# Savepoints


def test_a_change_before_a_savepoint_survives_a_read_and_a_rollback_to_it(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    session.execute(update(OrderLine).where(OrderLine.id == shop.first_line).values(quantity=2))
    savepoint = session.begin_nested()
    shop.book.change(shop.first_line, quantity=Decimal(2))
    assert read(session) == shop.book.totals()
    savepoint.rollback()
    session.commit()
    assert stored(outside) == shop.book.totals()


def test_a_change_within_a_savepoint_that_was_read_is_undone_with_it(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    savepoint = session.begin_nested()
    session.execute(update(OrderLine).where(OrderLine.id == shop.first_line).values(quantity=2))
    read(session)
    savepoint.rollback()
    assert read(session) == shop.book.totals()
    session.commit()
    assert stored(outside) == shop.book.totals()


def test_changes_before_within_and_after_a_savepoint_are_right(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    session.get(OrderLine, shop.first_line).quantity = Decimal(2)
    savepoint = session.begin_nested()
    session.get(OrderLine, shop.first_line).quantity = Decimal(3)
    session.get(OrderLine, shop.second_line).quantity = Decimal(3)
    read(session)
    savepoint.rollback()
    session.get(OrderLine, shop.discount).unit_price = Decimal(5)
    shop.book.change(shop.first_line, quantity=Decimal(2))
    shop.book.change(shop.discount, unit_price=Decimal(5))
    assert read(session) == shop.book.totals()
    session.commit()
    assert stored(outside) == shop.book.totals()


def test_savepoints_within_savepoints_are_right(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    session.get(OrderLine, shop.first_line).quantity = Decimal(2)
    with session.begin_nested():
        session.get(OrderLine, shop.second_line).quantity = Decimal(3)
        read(session)
        inner = session.begin_nested()
        session.execute(text("UPDATE order_lines SET order_id = :o"), {"o": shop.entered})
        read(session)
        inner.rollback()
    shop.book.change(shop.first_line, quantity=Decimal(2))
    shop.book.change(shop.second_line, quantity=Decimal(3))
    assert read(session) == shop.book.totals()
    session.commit()
    assert stored(outside) == shop.book.totals()


def test_savepoints_in_plain_sql_are_right(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    for statement in (
        "UPDATE order_lines SET quantity = 2",
        "SAVEPOINT here",
        "UPDATE order_lines SET quantity = 3",
    ):
        session.execute(text(statement))
    read(session)
    session.execute(text("ROLLBACK TO SAVEPOINT here"))
    for key in shop.book.lines:
        shop.book.change(key, quantity=Decimal(2))
    session.commit()
    assert stored(outside) == shop.book.totals()


def test_an_instance_that_was_read_within_a_savepoint_is_right_after_its_rollback(
    session: Any, shop: Shop
) -> None:
    order = session.get(Order, shop.itemised)
    before = order.grand_total
    savepoint = session.begin_nested()
    session.execute(update(OrderLine).where(OrderLine.id == shop.first_line).values(quantity=2))
    session.scalar(select(Order.grand_total).where(Order.id == shop.itemised))
    assert order.grand_total == before - 140
    savepoint.rollback()
    assert order.grand_total == before


def test_a_statement_that_fails_within_a_savepoint_costs_nothing_else(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    session.get(OrderLine, shop.first_line).quantity = Decimal(2)
    session.flush()
    with pytest.raises(IntegrityError), session.begin_nested():
        session.execute(update(OrderLine).values(kind="gift"))
    second = session.get(OrderLine, shop.second_line)
    with pytest.raises(IntegrityError), session.begin_nested():
        second.kind = "gift"
    session.get(OrderLine, shop.second_line).unit_price = Decimal("1.005")
    shop.book.change(shop.first_line, quantity=Decimal(2))
    shop.book.change(shop.second_line, unit_price=Decimal("1.005"))
    session.commit()
    assert stored(outside) == shop.book.totals()


def test_the_actor_is_still_named_after_a_savepoint_was_rolled_back(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    with acting_as("user:7"):
        savepoint = session.begin_nested()
        session.execute(update(OrderLine).where(OrderLine.id == shop.first_line).values(quantity=2))
        savepoint.rollback()
        session.execute(update(OrderLine).where(OrderLine.id == shop.first_line).values(quantity=5))
        session.commit()
    assert _who_changed_lines(outside) == ["user:7"]


def test_two_people_on_one_connection_are_each_named(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    for name, quantity in (("user:7", 2), ("user:8", 3)):
        with acting_as(name):
            session.get(OrderLine, shop.first_line).quantity = Decimal(quantity)
            session.commit()
    assert _who_changed_lines(outside) == ["user:7", "user:8"]


def _who_changed_lines(outside: psycopg.Connection[Any]) -> list[str]:
    """The actors of the updates of lines in the audit trail, oldest first."""
    query = (
        "SELECT actor FROM audit_events "
        "WHERE table_name = 'order_lines' AND action = 'UPDATE' ORDER BY id"
    )
    return [actor for (actor,) in outside.execute(query)]


# Sessions and engines


def test_a_session_without_autoflush_is_right_at_commit(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    with session.no_autoflush:
        session.get(OrderLine, shop.first_line).quantity = Decimal(2)
        assert read(session) == shop.book.totals()  # nothing is written yet
        session.flush()
        shop.book.change(shop.first_line, quantity=Decimal(2))
        assert read(session) == shop.book.totals()
        session.get(OrderLine, shop.second_line).quantity = Decimal(2)
        session.commit()
    shop.book.change(shop.second_line, quantity=Decimal(2))
    assert stored(outside) == shop.book.totals()


def test_a_session_of_its_own_on_the_apps_engine_is_right(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    with Session(db.engine) as other:
        shop.book.change(shop.first_line, quantity=Decimal("0.333"))
        right_in_the_transaction_and_at_commit(
            other,
            outside,
            lambda: unit_of_work(other, OrderLine, shop.first_line, {"quantity": Decimal("0.333")}),
            shop.book,
        )


def test_a_connection_of_the_apps_engine_is_right(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    shop.book.change(shop.first_line, quantity=Decimal("0.333"))
    with db.engine.begin() as connection:
        connection.execute(
            LINES.update().where(LINES.c.id == shop.first_line).values(quantity="0.333")
        )
        assert read(connection) == shop.book.totals()
    assert stored(outside) == shop.book.totals()


def test_two_sessions_at_once_each_drain_what_is_theirs(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    before = read(session)
    session.rollback()
    with Session(db.engine) as one, Session(db.engine) as other:
        unit_of_work(one, OrderLine, shop.first_line, {"quantity": Decimal(2)})
        one.flush()
        freight = next(iter(shop.book.lines_of(shop.entered)))
        unit_of_work(other, OrderLine, freight, {"quantity": Decimal(2)})
        other.flush()
        assert read(session) == before
        other.commit()
        shop.book.change(freight, quantity=Decimal(2))
        session.rollback()
        assert read(session) == shop.book.totals()
        one.rollback()
    session.rollback()
    assert stored(outside) == shop.book.totals()


def test_a_figure_read_by_another_session_meanwhile_is_the_one_of_before(
    session: Any, shop: Shop
) -> None:
    before = read(session)
    session.rollback()
    with Session(db.engine) as writing:
        writing.execute(update(OrderLine).values(quantity=Decimal(2)))
        assert read(writing) != before
        assert read(session) == before
        writing.rollback()


def test_instances_of_a_session_that_keeps_them_after_the_commit_are_right(
    session: Any, shop: Shop
) -> None:
    with db.session.session_factory(expire_on_commit=False) as keeping:
        order, line = keeping.get(Order, shop.itemised), keeping.get(OrderLine, shop.first_line)
        before = order.grand_total
        line.quantity = Decimal(2)
        keeping.commit()
        assert (line.amount, order.grand_total) == (Decimal(28), before - 140)
