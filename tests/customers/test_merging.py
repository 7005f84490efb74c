"""Merging duplicates: what is moved, what stays, and that nothing is lost or counted twice."""

import random
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select

from backoffice import figures
from backoffice.customers import actions, merging, queries
from backoffice.customers.models import Customer
from backoffice.customers.records import CUSTOMER
from backoffice.orders import views as _views  # noqa: F401 (registers what belongs to customers)
from backoffice.orders.models import Order
from backoffice.orders.records import ORDER
from backoffice.records import history
from backoffice.records.actions import RecordGone, run_verb
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory

from .desk import business_rows
from .merges import customer, merge, order_for, owners

Outside = psycopg.Connection[Any]


# The preview of a merge


def test_a_preview_says_what_moves_and_what_the_survivor_would_be_called(session: Any) -> None:
    survivor = CustomerFactory(code="A", name="Maju Jaya", city="", country="Indonesia")
    duplicate = CustomerFactory(code="B", name="PT Maju Jaya", city="Jakarta", country="")
    for number, owner, total in (("1", survivor, 100), ("2", duplicate, 20), ("3", duplicate, 3)):
        OrderFactory(
            number=number, customer=owner, total_price=total, additions=0, promo=0, reductions=0
        )
    session.commit()
    shown = merging.preview(session, survivor, duplicate)
    [move] = [move for move in shown.moves if move.owned.name == "orders"]
    assert (move.survivor.count, move.survivor.amount) == (1, 100)
    assert (move.duplicate.count, move.duplicate.amount) == (2, 23)
    assert (move.after.count, move.after.amount) == (3, 123)
    choices = {c.name: (c.survivor, c.duplicate, c.differs, c.is_taken) for c in shown.fields}
    assert choices["name"] == ("Maju Jaya", "PT Maju Jaya", True, False)
    assert choices["city"] == ("", "Jakarta", True, True)
    assert choices["country"] == ("Indonesia", "", True, False)
    assert choices["phone"] == ("", "", False, False)


# Merging


def test_everything_goes_over_and_the_duplicate_leads_to_the_survivor(session: Any) -> None:
    a, b = customer("A", 1, city=""), customer("B", 2, city="Bandung", phone="022 1234567")
    session.commit()
    record = merge(session, a, b, "city")
    assert set(owners(session).values()) == {"A"}
    survivor, duplicate = session.get_one(Customer, a), session.get_one(Customer, b)
    assert (survivor.city, survivor.phone, survivor.version) == ("Bandung", "", 2)
    assert (duplicate.merged_into_id, duplicate.city, duplicate.version) == (a, "Bandung", 2)
    assert (record.before, record.after) == ({"city": ""}, {"city": "Bandung"})
    versions = session.execute(select(Order.number, Order.version)).all()
    assert dict(versions) == {"A-1": 1, "B-1": 2, "B-2": 2}
    assert queries.named(session, "B") == [survivor]
    assert queries.named(session, queries.label(duplicate)) == [survivor]
    assert [c.code for c in queries.search(session, "")] == ["A"]
    assert list(figures.verify(session)) == []


def test_the_move_stands_in_the_history_of_every_order(app: Flask, session: Any) -> None:
    a, b = customer("A", name="Alpha"), customer("B", 1, name="Beta")
    session.commit()
    merge(session, a, b)
    with app.test_request_context():
        [newest, *_] = history.events_of(session, ORDER, session.query(Order).one())
    assert [(c.label, c.before, c.after) for c in newest.changes] == [
        ("Customer", "B · Beta", "A · Alpha")
    ]


def test_a_customer_is_no_duplicate_of_itself_and_of_a_merged_one_nothing_is_left_to_merge(
    session: Any,
) -> None:
    a, b, c = customer("A"), customer("B"), customer("C")
    session.commit()
    merge(session, a, b)
    for pair, refusal in (((a, a), merging.SameCustomer), ((c, b), merging.AlreadyMerged),
                          ((b, c), merging.AlreadyMerged)):  # fmt: skip
        with pytest.raises(refusal):
            merge(session, *pair)
        session.rollback()
    with pytest.raises(RecordGone):
        merging.merge(session, a, 404, taken=[], digest="")


CHANGES: dict[str, Callable[[Any, int, int], Any]] = {
    "an order came": lambda _session, _a, b: order_for(b, "NEW"),
    "an order went": lambda session, a, _b: session.query(Order).filter_by(customer_id=a).delete(),
    "an order changed": lambda session, _a, b: (
        session.query(Order).filter_by(customer_id=b).update({"promo": 1})
    ),
    "a fact changed": lambda session, a, _b: setattr(session.get_one(Customer, a), "city", "Solo"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_is_no_longer_as_it_was_previewed_is_not_merged(
    session: Any, outside: Outside, change: Callable[[Any, int, int], Any]
) -> None:
    a, b = customer("A", 1), customer("B", 1)
    session.commit()
    pair = [session.get_one(Customer, key) for key in (a, b)]
    digest = merging.preview(session, *pair).digest
    change(session, a, b)
    session.commit()
    before = business_rows(outside)
    with pytest.raises(merging.PreviewOutdated):
        merging.merge(session, a, b, taken=[], digest=digest)
    session.rollback()
    assert business_rows(outside) == before


# Several merges


def test_any_number_of_merges_lose_nothing_and_end_at_one_customer(
    session: Any, outside: Outside
) -> None:
    chance = random.Random(7)
    keys = [customer(f"C{n}", chance.randint(0, 3), city=f"City {n}") for n in range(7)]
    session.commit()
    orders = "SELECT id, number, grand_total FROM orders ORDER BY id"
    before = outside.execute(orders).fetchall()
    while len(keys) > 1:
        survivor, duplicate = chance.sample(keys, 2)
        merge(session, survivor, duplicate, *chance.sample(["name", "city"], chance.randint(0, 2)))
        keys.remove(duplicate)
    assert len(set(owners(session).values())) == 1
    assert outside.execute(orders).fetchall() == before


def test_a_chain_of_merges_leads_to_its_end(session: Any) -> None:
    a, b, c = customer("A", 1), customer("B", 1), customer("C", 1)
    session.commit()
    merge(session, b, a)
    merge(session, c, b)
    assert set(owners(session).values()) == {"C"}
    for code in "ABC":
        found = queries.by_code(session, code)
        assert queries.survivor_of(session, found).code == "C"
        assert [named.code for named in queries.named(session, code)] == ["C"]
    order_for(a, "LATE")
    session.commit()
    assert owners(session)["LATE"] == "C"


def test_neither_customer_of_a_merge_is_deleted(session: Any) -> None:
    a, b = customer("A"), customer("B")
    session.commit()
    merge(session, a, b)
    with pytest.raises(actions.CustomerMerged):
        run_verb(session, CUSTOMER, CUSTOMER.verbs[0], b, 2, {})
    with pytest.raises(actions.CustomerHasDuplicates):
        run_verb(session, CUSTOMER, CUSTOMER.verbs[0], a, 2, {})


def test_a_merge_that_was_undone_in_an_earlier_version_stays_in_the_history(
    session: Any, app: Flask
) -> None:
    a, b = customer("A"), customer("B")
    session.commit()
    record = merge(session, a, b)
    session.get_one(Customer, b).merged_into_id = None
    session.flush()
    record.undone_at = func.now()
    session.commit()
    with app.test_request_context():
        events = history.events_of(session, CUSTOMER, session.get_one(Customer, a))
    assert [event.kind for event in events if event.kind in ("merged", "undone")] == [
        "undone",
        "merged",
    ]
    assert merging.live_merges_into(session, session.get_one(Customer, a)) == []
    merge(session, a, b)
