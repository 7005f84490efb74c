"""Merging duplicates and undoing it: what moves, what stays, and that nothing is lost or counted twice."""

import random
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice import figures
from backoffice.customers import actions, merging, queries
from backoffice.customers.models import Customer, CustomerMerge
from backoffice.extensions import db
from backoffice.orders import history as order_history
from backoffice.orders import views as _views  # noqa: F401 (registers what belongs to customers)
from backoffice.orders.models import Order
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.processes import barrier, together

from .desk import business_rows

Outside = psycopg.Connection[Any]


def customer(code: str, orders: int = 0, **facts: Any) -> int:
    """A customer with that many orders of 9,300,000 each; their id."""
    made = CustomerFactory(code=code, **facts)
    for n in range(orders):
        OrderFactory(number=f"{code}-{n + 1}", customer=made)
    return int(made.id)


def order_for(key: int, number: str) -> None:
    """One more order of the customer with that id."""
    OrderFactory(number=number, customer=db.session.get_one(Customer, key))


def merge(session: Any, survivor: int, duplicate: int, *taken: str) -> CustomerMerge:
    """Preview, then merge as previewed."""
    pair = [session.get_one(Customer, key) for key in (survivor, duplicate)]
    digest = merging.preview(session, *pair).digest
    record = merging.merge(session, survivor, duplicate, taken=taken, digest=digest)
    session.commit()
    return record


def ways(done: merging.Undoing) -> dict[str, tuple[int, int]]:
    """How many of each kind went back, and how many had moved on."""
    return {way.belonging.name: (len(way.back), way.moved_on) for way in done.ways}


def owners(session: Any) -> dict[str, str]:
    """Whose each order is, by number and code."""
    session.rollback()
    rows = session.execute(select(Order.number, Customer.code).join(Order.customer))
    return dict(rows.all())


# What a merge would do


def test_a_preview_says_what_moves_and_what_the_survivor_would_be_called(session: Any) -> None:
    survivor = CustomerFactory(code="A", name="Maju Jaya", city="", country="Indonesia")
    duplicate = CustomerFactory(code="B", name="PT Maju Jaya", city="Jakarta", country="")
    for number, owner, total in (("1", survivor, 100), ("2", duplicate, 20), ("3", duplicate, 3)):
        OrderFactory(
            number=number, customer=owner, total_price=total, additions=0, promo=0, reductions=0
        )
    session.commit()
    shown = merging.preview(session, survivor, duplicate)
    [move] = [move for move in shown.moves if move.belonging.name == "orders"]
    assert (move.survivor.count, move.survivor.amount) == (1, 100)
    assert (move.duplicate.count, move.duplicate.amount) == (2, 23)
    assert (move.after.count, move.after.amount) == (3, 123)
    choices = {c.name: (c.survivor, c.duplicate, c.differs, c.is_taken) for c in shown.fields}
    assert choices["name"] == ("Maju Jaya", "PT Maju Jaya", True, False)
    assert choices["city"] == ("", "Jakarta", True, True)
    assert choices["country"] == ("Indonesia", "", True, False)
    assert choices["phone"] == ("", "", False, False)


# Doing it


def test_everything_goes_over_and_the_duplicate_leads_to_the_survivor(session: Any) -> None:
    a, b = customer("A", 1, city=""), customer("B", 2, city="Bandung", phone="022 1234567")
    session.commit()
    record = merge(session, a, b, "city")
    assert set(owners(session).values()) == {"A"}
    survivor, duplicate = session.get_one(Customer, a), session.get_one(Customer, b)
    assert (survivor.city, survivor.phone, survivor.version) == ("Bandung", "", 2)
    assert (duplicate.merged_into_id, duplicate.city, duplicate.version) == (a, "Bandung", 2)
    assert (record.before, record.after) == ({"city": ""}, {"city": "Bandung"})
    assert {name: len(ids) for name, ids in record.moved.items() if ids} == {"orders": 2}
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
        [newest, *_] = order_history.events_of(session, session.query(Order).one())
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
    with pytest.raises(actions.CustomerGone):
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


# Undoing it


def test_a_merge_and_its_undoing_leave_everything_as_it_was(session: Any, outside: Outside) -> None:
    a = customer("A", 3, city="", phone="021 555 0001")
    b = customer("B", 4, name="Beta", city="Bandung", contact_name="Ibu Rina")
    session.commit()
    before = business_rows(outside)
    record = merge(session, a, b, "city", "contact_name", "name")
    assert business_rows(outside) != before
    done = merging.undo(session, record.id)
    session.commit()
    assert business_rows(outside) == before
    assert ways(done)["orders"] == (4, 0)
    assert done.changed_since == ()
    assert list(figures.verify(session)) == []
    with pytest.raises(merging.AlreadyUndone):
        merging.undo(session, record.id)


def test_any_number_of_merges_undone_in_reverse_leave_everything_as_it_was(
    session: Any, outside: Outside
) -> None:
    chance = random.Random(7)
    keys = [customer(f"C{n}", chance.randint(0, 3), city=f"City {n}") for n in range(7)]
    session.commit()
    before = business_rows(outside)
    total = sum(Decimal(amount) for [amount] in outside.execute("SELECT grand_total FROM orders"))
    records = []
    while len(keys) > 1:
        survivor, duplicate = chance.sample(keys, 2)
        taken = chance.sample(["name", "city"], chance.randint(0, 2))
        records.append(merge(session, survivor, duplicate, *taken).id)
        keys.remove(duplicate)
    assert len(set(owners(session).values())) == 1
    now = outside.execute("SELECT sum(grand_total) FROM orders").fetchone()
    assert now == (total,)
    for record in reversed(records):
        merging.undo(session, record)
        session.commit()
    assert business_rows(outside) == before


def test_a_chain_leads_to_its_end_and_is_undone_from_there(session: Any) -> None:
    a, b, c = customer("A", 1), customer("B", 1), customer("C", 1)
    session.commit()
    first = merge(session, b, a).id
    second = merge(session, c, b).id
    assert set(owners(session).values()) == {"C"}
    for code in "ABC":
        found = queries.by_code(session, code)
        assert queries.survivor_of(session, found).code == "C"
        assert [named.code for named in queries.named(session, code)] == ["C"]
    with pytest.raises(merging.SurvivorMerged):
        merging.undo(session, first)
    session.rollback()
    merging.undo(session, second)
    session.commit()
    assert owners(session) == {"A-1": "B", "B-1": "B", "C-1": "C"}
    merging.undo(session, first)
    session.commit()
    assert owners(session) == {"A-1": "A", "B-1": "B", "C-1": "C"}


def test_what_has_moved_on_since_stays_and_is_reported(session: Any) -> None:
    a, b = customer("A", 1, city="", phone=""), customer("B", 3, city="Solo", phone="0271 12345")
    other = customer("X")
    session.commit()
    record = merge(session, a, b, "city", "phone")
    session.query(Order).filter_by(number="B-1").one().customer_id = other
    session.query(Order).filter_by(number="B-2").delete()
    session.get_one(Customer, a).city = "Yogyakarta"
    session.commit()
    shown = merging.undoing(session, record)
    done = merging.undo(session, record.id)
    session.commit()
    for told in (shown, done):
        assert ways(told)["orders"] == (1, 2)
        assert told.changed_since == ("city",)
        assert told.restored == {"phone": ""}
    assert owners(session) == {"A-1": "A", "B-1": "X", "B-3": "B"}
    survivor = session.get_one(Customer, a)
    assert (survivor.city, survivor.phone) == ("Yogyakarta", "")


def test_a_duplicate_may_be_merged_again_after_its_merge_was_undone(session: Any) -> None:
    a, b, c = customer("A"), customer("B", 1), customer("C")
    session.commit()
    merging.undo(session, merge(session, a, b).id)
    session.commit()
    merge(session, c, b)
    assert owners(session) == {"B-1": "C"}


def test_a_customer_may_be_deleted_after_its_merge_was_undone(session: Any) -> None:
    a, b = customer("A"), customer("B")
    session.commit()
    record = merge(session, a, b)
    with pytest.raises(actions.CustomerMerged):
        actions.delete(session, b, 2)
    with pytest.raises(actions.CustomerHasDuplicates):
        actions.delete(session, a, 2)
    merging.undo(session, record.id)
    actions.delete(session, b, 3)
    session.commit()
    assert session.scalars(select(Customer.code)).all() == ["A"]


# Whoever still writes for the duplicate


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
    """The merge holds both customers; the order for the duplicate waits for it. Whose each order is then."""
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
    """The mutant that shows that the test above bites."""
    outside.execute("ALTER TABLE orders DISABLE TRIGGER orders_follow_merged_customer")
    try:
        found = enter_an_order_during_the_merge(app, session, database_url)
    finally:
        outside.execute("ALTER TABLE orders ENABLE TRIGGER orders_follow_merged_customer")
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


# Several who merge


def attempt(survivor: int, duplicate: int, meet: Any) -> Callable[[], str]:
    """Preview, meet the others, merge; answers what came of it."""

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
        belongs_to_nobody = (
            select(Order.id).join(Order.customer).where(Customer.merged_into_id.is_not(None))
        )
        assert session.scalars(belongs_to_nobody).all() == []


def test_without_their_locks_two_customers_would_be_merged_into_each_other(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant that shows that the test above bites: both look before either has written."""
    a, b = customer("A", 1), customer("B", 1)
    session.commit()
    session.rollback()
    have_looked = barrier(2)

    def unlocked(session: Any, ids: list[int]) -> dict[int, Customer]:
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
