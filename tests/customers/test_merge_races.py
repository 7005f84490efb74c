"""Concurrent writes for a merged customer, and concurrent merges."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.customers import merging
from backoffice.customers.models import Customer
from backoffice.orders import views as _views  # noqa: F401 (registers what belongs to customers)
from backoffice.orders.models import Order
from tests.processes import barrier, together

from .merges import customer, merge, order_for, owners

pytestmark = pytest.mark.slow

Outside = psycopg.Connection[Any]

# Writes for the duplicate


WRITES: dict[str, str] = {
    "a new order": """
        INSERT INTO orders (number, customer_id, account_manager_id, order_date)
        SELECT 'NEW', %(b)s, account_manager_id, order_date FROM orders LIMIT 1""",
    "an order that is given to it": "UPDATE orders SET customer_id = %(b)s WHERE number = 'A-1'",
}


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES.keys())
def test_what_a_program_books_on_a_merged_customer_ends_at_the_survivor(
    session: Any, app_connection: Outside, statement: str
) -> None:
    a, b, c = customer("A", 1), customer("B"), customer("C")
    session.commit()
    merge(session, a, b)
    merge(session, c, a)
    app_connection.execute(statement.encode(), {"b": b})
    assert set(owners(session).values()) == {"C"}


def enter_an_order_during_the_merge(app: Flask, session: Any, database_url: str) -> dict[str, str]:
    """Add an order for the duplicate, which waits for the merge's locks; returns each order's owner afterwards."""
    a, b = customer("A", 1), customer("B", 1)
    session.commit()
    pair = [session.get_one(Customer, key) for key in (a, b)]
    digest = merging.preview(session, *pair).digest
    session.rollback()
    meet = barrier(2)

    def merge_slowly() -> None:
        merging.merge(db.session, a, b, taken=[], digest=digest)
        meet.wait()
        with psycopg.connect(database_url, autocommit=True) as observer:
            waiting, end = "SELECT count(*) FROM pg_locks WHERE NOT granted", time.monotonic() + 30
            while observer.execute(waiting).fetchone() == (0,):
                assert time.monotonic() < end, "nobody waited for the merge"
        db.session.commit()

    def enter() -> None:
        meet.wait()
        order_for(b, "NEW")
        db.session.commit()

    together(app, merge_slowly, enter)
    return owners(session)


def test_an_order_that_is_entered_while_the_merge_is_under_way_ends_at_the_survivor(
    app: Flask, session: Any, database_url: str
) -> None:
    found = enter_an_order_during_the_merge(app, session, database_url)
    assert found == {"A-1": "A", "B-1": "A", "NEW": "A"}


def test_without_its_trigger_the_order_would_stay_with_the_duplicate(
    app: Flask, session: Any, database_url: str, outside: Outside
) -> None:
    """The mutant that the test above must detect."""
    outside.execute("ALTER TABLE orders DISABLE TRIGGER backoffice_orders_follow_merged_customer")
    try:
        found = enter_an_order_during_the_merge(app, session, database_url)
    finally:
        outside.execute(
            "ALTER TABLE orders ENABLE TRIGGER backoffice_orders_follow_merged_customer"
        )
    assert found == {"A-1": "A", "B-1": "A", "NEW": "B"}


def test_an_order_that_is_entered_before_the_merge_has_the_locks_makes_it_look_again(
    app: Flask, session: Any
) -> None:
    a, b = customer("A", 1), customer("B", 1)
    session.commit()
    pair = [session.get_one(Customer, key) for key in (a, b)]
    digest = merging.preview(session, *pair).digest
    session.rollback()
    meet = barrier(2)

    def enter() -> None:
        order_for(b, "NEW")
        meet.wait()
        db.session.commit()

    def merge_as_previewed() -> str:
        meet.wait()
        try:
            merging.merge(db.session, a, b, taken=[], digest=digest)
        except merging.PreviewOutdated:
            return "outdated"
        finally:
            db.session.rollback()
        return "merged"

    assert together(app, enter, merge_as_previewed) == [None, "outdated"]
    assert owners(session) == {"A-1": "A", "B-1": "B", "NEW": "B"}


# Concurrent merges


def attempt(survivor: int, duplicate: int, meet: Any) -> Callable[[], str]:
    """Preview, wait for the other processes, merge; returns the outcome."""

    def work() -> str:
        pair = [db.session.get_one(Customer, key) for key in (survivor, duplicate)]
        digest = merging.preview(db.session, *pair).digest
        db.session.rollback()
        meet.wait()
        try:
            merging.merge(db.session, survivor, duplicate, taken=[], digest=digest)
            db.session.commit()
        except (merging.AlreadyMerged, merging.PreviewOutdated) as refused:
            db.session.rollback()
            return type(refused).__name__
        return "merged"

    return work


@pytest.mark.parametrize(
    "pairs",
    [[("A", "B"), ("A", "B")], [("A", "B"), ("B", "A")], [("A", "B"), ("B", "C"), ("C", "A")],
     [("A", "B"), ("C", "B")]],
    ids=["the same", "each other", "in a circle", "one into two"],
)  # fmt: skip
def test_of_merges_at_once_that_exclude_each_other_exactly_one_is_done(
    app: Flask, session: Any, pairs: list[tuple[str, str]]
) -> None:
    for round_ in range(5):
        keys = {code: customer(f"{code}{round_}", 2) for code in "ABC"}
        session.commit()
        session.rollback()
        meet = barrier(len(pairs))
        works = [attempt(keys[one], keys[other], meet) for one, other in pairs]
        outcomes = together(app, *works)
        assert outcomes.count("merged") == 1, outcomes
        session.rollback()
        merged = session.scalars(
            select(Customer).where(
                Customer.id.in_(keys.values()), Customer.merged_into_id.is_not(None)
            )
        ).all()
        assert len(merged) == 1
        belongs_to_no_customer = (
            select(Order.id).join(Order.customer).where(Customer.merged_into_id.is_not(None))
        )
        assert session.scalars(belongs_to_no_customer).all() == []


def test_without_their_locks_two_customers_would_be_merged_into_each_other(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant that the test above must detect: both processes read before either has written."""
    a, b = customer("A", 1), customer("B", 1)
    session.commit()
    session.rollback()
    have_looked = barrier(2)

    def unlocked(session: Any, _model: Any, ids: list[int]) -> dict[int, Customer]:
        found = {key: session.get_one(Customer, key) for key in ids}
        have_looked.wait()
        return found

    monkeypatch.setattr(merging, "locked", unlocked)
    monkeypatch.setattr(merging, "_digest", lambda *_: "")
    meet = barrier(2)
    outcomes = together(app, attempt(a, b, meet), attempt(b, a, meet))
    assert outcomes == ["merged", "merged"]
    session.rollback()
    assert {c.merged_into_id for c in session.scalars(select(Customer))} == {a, b}
