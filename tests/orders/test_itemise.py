"""The trigger of migration 0005: a kind with lines is itemised, whichever program writes the lines."""

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy.orm import Session

from backoffice import figures
from backoffice.orders.models import Order
from tests.factories.orders import OrderFactory

pytestmark = pytest.mark.slow

INSERT = "INSERT INTO order_lines (order_id, kind, quantity, unit_price) VALUES (%s, %s, 1, 5)"


@pytest.fixture
def order(session: Session) -> Order:
    """An order with entered amounts for all components."""
    order: Order = OrderFactory(promo=Decimal(0), reductions=Decimal(0))
    session.commit()
    return order


@pytest.fixture(autouse=True)
def drained(session: Session) -> Iterator[None]:
    """Drain what other programs have noted in a test."""
    yield
    figures.heal_noted(session)


def itemised(connection: psycopg.Connection[Any], order_id: int) -> list[str]:
    """The order's committed itemised kinds."""
    row = connection.execute("SELECT itemised FROM orders WHERE id = %s", [order_id]).fetchone()
    assert row is not None
    return list(row[0])


def test_inserted_lines_itemise_their_kinds_in_the_formulas_order(
    order: Order, app_connection: psycopg.Connection[Any]
) -> None:
    for kind in ("promo", "package", "promo"):
        app_connection.execute(INSERT, [order.id, kind])
    assert itemised(app_connection, order.id) == ["package", "promo"]


def test_a_line_that_changes_kind_or_order_itemises_where_it_comes_to(
    order: Order, session: Session, app_connection: psycopg.Connection[Any]
) -> None:
    number, other = order.id, OrderFactory(promo=Decimal(0), reductions=Decimal(0)).id
    session.commit()
    app_connection.execute(INSERT, [number, "package"])
    app_connection.execute("UPDATE order_lines SET kind = 'addition'")
    assert itemised(app_connection, number) == ["package", "addition"]
    app_connection.execute("UPDATE order_lines SET order_id = %s", [other])
    assert itemised(app_connection, other) == ["addition"]
    assert itemised(app_connection, number) == ["package", "addition"]


def test_deleting_the_last_line_does_not_unitemise(
    order: Order, app_connection: psycopg.Connection[Any]
) -> None:
    app_connection.execute(INSERT, [order.id, "package"])
    app_connection.execute("DELETE FROM order_lines")
    assert itemised(app_connection, order.id) == ["package"]


def test_an_order_that_names_the_kind_is_not_written_again(
    order: Order, app_connection: psycopg.Connection[Any]
) -> None:
    def version() -> Any:
        return app_connection.execute("SELECT xmin FROM orders").fetchone()

    app_connection.execute(INSERT, [order.id, "package"])
    before = version()
    app_connection.execute(INSERT, [order.id, "package"])
    app_connection.execute("UPDATE order_lines SET quantity = 2")
    assert version() == before


def test_a_role_that_may_only_write_lines_does_not_fail(
    order: Order,
    admin_database_url: str,
    app_connection: psycopg.Connection[Any],
) -> None:
    with psycopg.connect(admin_database_url, autocommit=True) as admin:
        admin.execute("CREATE ROLE line_writer")
        try:
            admin.execute("GRANT INSERT ON order_lines TO line_writer")
            admin.execute("SET ROLE line_writer")
            admin.execute(INSERT, [order.id, "reduction"])
        finally:
            admin.execute("RESET ROLE")
            admin.execute("DROP OWNED BY line_writer")
            admin.execute("DROP ROLE line_writer")
    assert itemised(app_connection, order.id) == ["reduction"]


def test_two_programs_that_itemise_the_same_orders_both_succeed(
    session: Session, database_url: str, app_connection: psycopg.Connection[Any]
) -> None:
    orders = [OrderFactory(promo=Decimal(0), reductions=Decimal(0)).id for _ in range(20)]
    session.commit()
    failures: list[Exception] = []

    def write(kind: str, ids: list[int]) -> None:
        try:
            with psycopg.connect(database_url) as connection:
                for _ in range(10):
                    connection.cursor().executemany(INSERT, [(number, kind) for number in ids])
                    connection.execute(
                        "INSERT INTO order_lines (order_id, kind, quantity, unit_price)"
                        " SELECT unnest(%s::bigint[]), %s, 1, 1",
                        [ids, kind],
                    )
                    connection.commit()
        except Exception as error:  # noqa: BLE001  (shown by the assertion below)
            failures.append(error)

    threads = [
        threading.Thread(target=write, args=("package", orders)),
        threading.Thread(target=write, args=("addition", orders)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert all(itemised(app_connection, o) == ["package", "addition"] for o in orders)
