"""No way of writing through the app's session leaves a wrong figure: DESIGN.md section 3; line 13 of FAULTS.md.

Each way of writing is combined with each kind of source and figure of an order. The figures are right
when read in the same transaction, restored when it is rolled back, and right after its commit.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, delete, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backoffice.figures.computing.registry import registry
from backoffice.figures.keeping import hooks
from backoffice.orders.models import Order, OrderLine

from .books import LineFacts, OrderFacts
from .shop import ORDERS, Shop, right_in_the_transaction_and_at_commit
from .ways import CHANGES, NEW, WAYS_TO_ADD, WAYS_TO_CHANGE, WAYS_TO_REMOVE, added_by_copy


@pytest.mark.parametrize("way", WAYS_TO_CHANGE, ids=lambda way: way.__name__)
def test_a_change_of_every_source_and_figure_through_the_session_is_right(
    way: Callable[..., None],
    session: Any,
    shop: Shop,
    outside: psycopg.Connection[Any],
    subtests: pytest.Subtests,
) -> None:
    for name, change in CHANGES.items():
        with subtests.test(name):
            values = {change.column: change.value(shop)}
            change.meaning(shop)
            right_in_the_transaction_and_at_commit(
                session,
                outside,
                partial(way, session, change.model, change.row(shop), values),
                shop.book,
            )


@pytest.mark.parametrize("way", WAYS_TO_ADD, ids=lambda way: way.__name__)
def test_a_line_added_through_the_session_is_right(
    way: Callable[..., None], session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    new = LineFacts(shop.itemised, NEW["kind"], NEW["quantity"], NEW["unit_price"])
    shop.book.put(0, new)
    right_in_the_transaction_and_at_commit(
        session, outside, lambda: way(session, shop.itemised), shop.book
    )


@pytest.mark.parametrize(
    "way", ["unit of work", "bulk insert", "bulk_save_objects", "Core", "COPY"]
)
def test_an_order_added_through_the_session_is_right(
    way: str, session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    other = session.get(Order, shop.entered)
    facts = ("customer_id", "account_manager_id", "order_date")
    like = {name: getattr(other, name) for name in facts}
    values = {"number": "SO-NEW", **like, "itemised": ["addition"], "promo": Decimal("10.55")}
    session.rollback()

    def write() -> None:
        if way == "unit of work":
            session.add(Order(**values))
        elif way == "bulk insert":
            session.execute(insert(Order), [values])
        elif way == "bulk_save_objects":
            session.bulk_save_objects([Order(**values)])
        elif way == "Core":
            session.execute(ORDERS.insert().values(**values))
        else:
            cursor = session.connection().connection.driver_connection.cursor()
            with cursor.copy(f"COPY orders ({', '.join(values)}) FROM STDIN") as copy:
                copy.write_row(tuple(values.values()))

    shop.book.orders[0] = OrderFacts({"addition"})
    shop.book.orders[0].entered["promo"] = Decimal("10.55")
    right_in_the_transaction_and_at_commit(session, outside, write, shop.book)


@pytest.mark.parametrize("line", ["one of two", "the last of its kind"])
@pytest.mark.parametrize("way", WAYS_TO_REMOVE, ids=lambda way: way.__name__)
def test_a_line_removed_through_the_session_is_right(
    way: Callable[..., None],
    line: str,
    session: Any,
    shop: Shop,
    outside: psycopg.Connection[Any],
) -> None:
    key = shop.second_line if line == "one of two" else shop.discount
    del shop.book.lines[key]
    right_in_the_transaction_and_at_commit(session, outside, lambda: way(session, key), shop.book)


@pytest.mark.parametrize("way", ["unit of work", "bulk delete", "text"])
def test_a_deleted_order_takes_its_lines_along(
    way: str, session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    def write() -> None:
        if way == "unit of work":
            session.delete(session.get(Order, shop.itemised))
        elif way == "bulk delete":
            session.execute(delete(Order).where(Order.id == shop.itemised))
        else:
            session.execute(text("DELETE FROM orders WHERE id = :id"), {"id": shop.itemised})

    shop.book.drop(shop.itemised)
    right_in_the_transaction_and_at_commit(session, outside, write, shop.book)


def test_lines_moved_in_both_directions_at_once_are_right(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    freight = next(iter(shop.book.lines_of(shop.entered)))
    shop.book.change(shop.first_line, order_id=shop.entered)
    shop.book.change(freight, order_id=shop.itemised)

    def write() -> None:
        one, other = session.get(Order, shop.itemised), session.get(Order, shop.entered)
        session.get(OrderLine, freight).order = one
        session.get(OrderLine, shop.first_line).order = other

    right_in_the_transaction_and_at_commit(session, outside, write, shop.book)


def test_a_moved_lines_old_order_is_deleted_in_the_same_transaction(
    session: Any, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    shop.book.change(shop.first_line, order_id=shop.entered)
    shop.book.drop(shop.itemised)

    def write() -> None:
        moved = text("UPDATE order_lines SET order_id = :order WHERE id = :line")
        session.execute(moved, {"order": shop.entered, "line": shop.first_line})
        session.execute(delete(Order).where(Order.id == shop.itemised))

    right_in_the_transaction_and_at_commit(session, outside, write, shop.book)


# TRUNCATE, which only the owner's role may execute


@pytest.fixture
def owners_session(app: Any, owner_database_url: str) -> Iterator[Session]:
    """A session of the app with the owner's database role."""
    url = owner_database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(url, connect_args={"cursor_factory": hooks.NotingCursor})
    hooks.install(engine, registry)
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_truncate_through_the_session_is_right(
    owners_session: Session, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    shop.book.lines.clear()

    def write() -> None:
        owners_session.execute(text("TRUNCATE order_lines"))

    right_in_the_transaction_and_at_commit(owners_session, outside, write, shop.book)


def test_lines_written_beside_a_truncate_are_right(
    owners_session: Session, shop: Shop, outside: psycopg.Connection[Any]
) -> None:
    shop.book.lines.clear()
    new = LineFacts(shop.itemised, NEW["kind"], NEW["quantity"], NEW["unit_price"])
    shop.book.put(0, new)

    def write() -> None:
        owners_session.execute(text("TRUNCATE order_lines"))
        added_by_copy(owners_session, shop.itemised)

    right_in_the_transaction_and_at_commit(owners_session, outside, write, shop.book)


def test_the_apps_role_may_not_truncate(session: Any, shop: Shop) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        session.execute(text("TRUNCATE order_lines"))
    session.rollback()
