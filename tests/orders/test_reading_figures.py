"""Every way of reading a figure in the transaction that changed it returns the changed value."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import delete, func, insert, literal, select, text, update

from backoffice import figures
from backoffice.orders.models import Order, OrderLine
from tests.factories.orders import OrderFactory

from .books import stored
from .shop import ORDERS, Shop

_EXPECTED = 10 * 14 + 10 * Decimal("9.80") + Decimal("32.38") - Decimal("26.60") - Decimal("1.25")
"""The grand total of the itemised order after the quantity of its first line is set to 10."""

READS: dict[str, Callable[[Any, int], Decimal]] = {
    "select of a column": lambda s, i: s.scalar(select(Order.grand_total).where(Order.id == i)),
    "select of the table": lambda s, i: s.execute(select(ORDERS).where(ORDERS.c.id == i)).one().grand_total,
    "an instance": lambda s, i: s.scalars(select(Order).where(Order.id == i)).one().grand_total,
    "refresh": lambda s, i: _refreshed(s, s.get(Order, i)).grand_total,
    "a legacy query": lambda s, i: s.query(Order.grand_total).filter_by(id=i).scalar(),
    "text": lambda s, i: s.scalar(text("SELECT grand_total FROM orders WHERE id = :i"), {"i": i}),
    "text in capitals": lambda s, i: s.scalar(text("SELECT GRAND_TOTAL FROM ORDERS WHERE ID = :i"), {"i": i}),
    "text with columns": lambda s, i: s.scalar(
        text("SELECT grand_total FROM orders WHERE id = :i").columns(ORDERS.c.grand_total), {"i": i}
    ),
    "instances from text": lambda s, i: s.scalars(
        select(Order).from_statement(text("SELECT * FROM orders WHERE id = :i")), {"i": i}
    ).one().grand_total,
    "a union": lambda s, i: s.scalar(
        select(Order.grand_total).where(Order.id == i).union_all(select(Order.grand_total).where(Order.id == 0))
    ),
    "a subquery": lambda s, i: s.scalar(
        select(func.sum(select(Order).where(Order.id == i).subquery().c.grand_total))
    ),
    "a scalar subquery": lambda s, i: s.scalar(
        select(select(Order.grand_total).where(Order.id == i).scalar_subquery())
    ),
    "a CTE": lambda s, i: s.scalar(select(select(Order.grand_total).where(Order.id == i).cte().c.grand_total)),
    "the session's connection": lambda s, i: s.connection().scalar(
        select(ORDERS.c.grand_total).where(ORDERS.c.id == i)
    ),
    "a condition": lambda s, i: s.scalar(
        select(func.max(literal(_EXPECTED))).where(select(Order.id).where(Order.grand_total == _EXPECTED).exists())
    ),
    "an update that reads it": lambda s, i: s.scalar(
        update(Order).where(Order.id == i).values(promo=Order.grand_total).returning(Order.promo)
    ),
    "an insert from a select": lambda s, i: s.scalar(
        insert(OrderLine)
        .from_select(
            ["order_id", "kind", "quantity", "unit_price"],
            select(Order.id, literal("package"), literal(1), Order.grand_total).where(Order.id == i),
        )
        .returning(OrderLine.unit_price)
    ),
    "an update of those that meet a condition": lambda s, i: s.scalar(
        update(Order)
        .where(Order.grand_total == _EXPECTED)
        .values(closing_date=func.current_date())
        .returning(literal(_EXPECTED))
    ),
    "a delete of those that meet a condition": lambda s, i: s.scalar(
        delete(Order).where(Order.grand_total == _EXPECTED).returning(literal(_EXPECTED))
    ),
    "a stream": lambda s, i: next(
        iter(s.execute(select(Order.grand_total).where(Order.id == i).execution_options(yield_per=10)))
    )[0],
}  # fmt: skip


def _refreshed(session: Any, instance: Any) -> Any:
    session.refresh(instance)
    return instance


@pytest.mark.parametrize("way", READS.values(), ids=READS.keys())
def test_every_way_of_reading_sees_the_figure_of_what_was_written_before(
    way: Callable[[Any, int], Decimal], session: Any, shop: Shop
) -> None:
    could_go_stale = session.get(Order, shop.itemised)
    assert could_go_stale.grand_total == _EXPECTED + 28
    session.execute(update(OrderLine).where(OrderLine.id == shop.first_line).values(quantity=10))
    assert way(session, shop.itemised) == _EXPECTED
    session.rollback()


def test_an_instance_is_right_after_a_flush(session: Any, shop: Shop) -> None:
    order = session.get(Order, shop.entered)
    order.promo = Decimal(0)
    session.flush()
    assert order.grand_total == order.total_price + order.additions - order.reductions


def test_a_new_instance_is_right_after_a_flush(session: Any, shop: Shop) -> None:
    order = OrderFactory(promo=Decimal(1))
    session.flush()
    assert order.grand_total == 10_500_000 - 1 - 200_000
    session.rollback()


def test_a_line_and_its_order_are_right_after_a_flush(session: Any, shop: Shop) -> None:
    order = session.get(Order, shop.itemised)
    line = order.lines[0]
    line.quantity = Decimal(1)
    session.flush()
    assert (line.amount, order.total_price) == (Decimal(14), Decimal(112))


def test_both_orders_of_a_moved_line_are_right_after_a_flush(session: Any, shop: Shop) -> None:
    old, new = session.get(Order, shop.itemised), session.get(Order, shop.entered)
    assert (old.total_price, new.total_price) == (Decimal(266), Decimal(10_000_000))
    session.get(OrderLine, shop.first_line).order_id = shop.entered
    session.flush()
    assert (old.total_price, new.total_price) == (Decimal(98), Decimal(168))


def test_a_read_takes_no_pending_change_of_an_instance_away(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    order = session.get(Order, shop.itemised)
    session.execute(update(OrderLine).where(OrderLine.id == shop.first_line).values(quantity=2))
    order.reductions = Decimal(9)
    session.connection().execute(select(ORDERS.c.grand_total)).all()  # drains without flushing
    session.commit()
    shop.book.change(shop.first_line, quantity=Decimal(2))
    shop.book.orders[shop.itemised].entered["reductions"] = Decimal(9)
    assert stored(outside) == shop.book.totals()


def test_what_reads_past_sqlalchemy_is_right_after_settle(session: Any, shop: Shop) -> None:
    session.get(OrderLine, shop.first_line).quantity = Decimal(10)
    figures.settle(session)
    driver = session.connection().connection.driver_connection
    found = driver.execute(
        "SELECT grand_total FROM orders WHERE id = %s", (shop.itemised,)
    ).fetchone()
    assert found == (_EXPECTED,)
    session.rollback()
