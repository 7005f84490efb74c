"""Merging customers with meters and documents: what moves, the balances after it, and undoing."""

import random
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.billing.models import Invoice, Meter, MeterAssignment, Payment
from backoffice.customers import actions, merging
from backoffice.customers.models import Customer, CustomerMerge
from backoffice.customers.records import CUSTOMER
from backoffice.records.actions import run_verb
from tests.customers.desk import fields_of, form
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.orders.pages import text_of
from tests.processes import barrier, together

from .meters import assignments, meter_of, must_be_stored, owed_by, stored

Outside = psycopg.Connection[Any]

TABLES = ("customers", "meters", "meter_assignments", "invoices", "payments", "meter_adjustments")


@pytest.fixture
def outside(owner_connection: Outside) -> Outside:
    """Another program: it sees what is committed."""
    return owner_connection


def everything(outside: Outside) -> dict[str, list[Any]]:
    """What is stored of billing, without versions and timestamps."""
    counting = "- 'version' - 'updated_at' - 'balance_changed_at'"
    return {
        table: outside.execute(
            f"SELECT (to_jsonb(t) {counting})::text FROM {table} t ORDER BY id".encode()
        ).fetchall()
        for table in TABLES
    }


def merge(session: Any, survivor: Customer, duplicate: Customer) -> CustomerMerge:
    """Preview, then merge as previewed."""
    digest = merging.preview(session, survivor, duplicate).digest
    record = merging.merge(session, survivor.id, duplicate.id, taken=[], digest=digest)
    session.commit()
    return record


@pytest.fixture
def pair(session: Any) -> tuple[Customer, Customer]:
    """RINA owes 1,000 on M-1. R1NA, who is the same, owes 300 on M-2, has paid 50 too much on M-3, and was on M-1."""
    rina, twice = CustomerFactory(code="RINA"), CustomerFactory(code="R1NA")
    first = meter_of(rina, "M-1", owed=1000, assigned_from=date(2026, 3, 1))
    MeterAssignmentFactory(
        meter=first.meter, customer=twice, assigned_to=date(2026, 2, 28), is_active=False
    )
    second = meter_of(twice, "M-2", owed=200)
    meter_of(twice, "M-3", paid=50)
    MeterAdjustmentFactory(meter=second.meter, customer=twice, amount=100)
    PaymentFactory(customer=twice, reference="UNMATCHED", amount=70)
    InvoiceFactory(customer=twice, number="VOID", amount=900, units=None, rate=None, status="void")
    session.commit()
    return rina, twice


def test_everything_goes_over_and_the_survivor_owes_it_at_once(
    session: Any, outside: Outside, pair: tuple[Customer, Customer]
) -> None:
    assert (owed_by(outside, "RINA"), owed_by(outside, "R1NA")) == ((1000, 0), (300, 50))
    record = merge(session, *pair)
    assert (owed_by(outside, "RINA"), owed_by(outside, "R1NA")) == ((1300, 50), (0, 0))
    assert stored(outside) == must_be_stored(outside)
    assert {name: len(ids) for name, ids in record.moved.items() if ids} == {
        "meter_assignments": 3, "invoices": 2, "payments": 2, "meter_adjustments": 1,
    }  # fmt: skip
    assert {row[0] for row in assignments(outside, "M-1")} == {"RINA"}


def test_the_preview_says_what_goes_over_and_what_it_comes_to(
    session: Any, pair: tuple[Customer, Customer]
) -> None:
    shown = merging.preview(session, *pair)
    moves = {m.owned.name: (m.duplicate.count, int(m.duplicate.amount)) for m in shown.moves}
    assert moves == {
        "wallets": (0, 0),
        "readings": (0, 0),
        "gas_prices": (0, 0),
        "deposits": (0, 0),
        "gas_accepted_months": (0, 0),
        "orders": (0, 0),
        "meter_assignments": (3, 250),
        "invoices": (2, 200),
        "payments": (2, 120),
        "meter_adjustments": (1, 100),
    }
    newest = {
        move.owned.name: [
            (row.label, int(row.amount)) for row in move.owned.newest(session, pair[1].id, 9)
        ]
        for move in shown.moves
    }
    assert sorted(newest["meter_assignments"]) == [("M-1", 0), ("M-2", 300), ("M-3", -50)]
    assert sorted(newest["invoices"]) == [("INV-M-2", 200), ("VOID", 0)]


def test_the_preview_counts_and_lists_a_receipt_once(
    session: Any, pair: tuple[Customer, Customer]
) -> None:
    rina, twice = pair
    for part, (payer, amount) in enumerate([(twice, 10), (twice, 20), (rina, 40)], 1):
        PaymentFactory(customer=payer, reference="R-3", part=part, amount=amount)
    session.commit()
    [move] = [m for m in merging.preview(session, rina, twice).moves if m.owned.name == "payments"]
    assert (move.survivor.count, int(move.survivor.amount)) == (1, 40)
    assert (move.duplicate.count, int(move.duplicate.amount)) == (3, 150)
    assert (move.after.count, int(move.after.amount)) == (3, 190)
    newest = [(row.label, int(row.amount)) for row in move.owned.newest(session, twice.id, 9)]
    assert newest[0] == ("R-3", 30)
    assert len(newest) == 3


def test_a_merge_and_its_undoing_leave_everything_as_it_was(
    session: Any, outside: Outside, pair: tuple[Customer, Customer]
) -> None:
    before = everything(outside)
    record = merge(session, *pair)
    assert everything(outside) != before
    done = merging.undo(session, record.id)
    session.commit()
    assert everything(outside) == before
    assert {way.moved_on for way in done.ways} == {0}


def test_undoing_says_first_what_was_booked_since_on_the_meters_that_go_back(
    session: Any, outside: Outside, pair: tuple[Customer, Customer], sign_in: Any
) -> None:
    rina, twice = pair
    [meter] = session.scalars(select(Meter).where(Meter.number == "M-2"))
    [never_theirs] = session.scalars(select(Meter).where(Meter.number == "M-1"))
    InvoiceFactory(number="BEFORE", customer=rina, meter=meter)
    session.commit()
    record = merge(session, rina, twice)
    assert {way.stays for way in merging.undoing(session, record).ways} == {()}
    InvoiceFactory(number="SINCE", customer=rina, meter=meter)
    InvoiceFactory(number="ELSEWHERE", customer=rina, meter=MeterFactory())
    for part in (1, 2):
        PaymentFactory(customer=rina, meter=meter, reference="P-9", part=part, amount=10)
    MeterAdjustmentFactory(number="ADJ-8", customer=rina, meter=never_theirs)
    MeterAdjustmentFactory(number="ADJ-9", customer=rina, meter=meter)
    session.commit()
    shown = merging.undoing(session, record)
    assert {way.owned.name: way.stays for way in shown.ways if way.stays} == {
        "invoices": ("SINCE",), "payments": ("P-9",), "meter_adjustments": ("ADJ-9",),
    }  # fmt: skip
    browser, address = sign_in("finance"), f"/customers/merges/{record.id}/undo"
    page = text_of(browser.get(address).text)
    assert "1 was booked since on what goes back, and stays with RINA: SINCE" in page
    assert "stays with RINA: P-9" in page
    typed = form(browser, address)
    InvoiceFactory(number="LATER", customer=rina, meter=meter)
    session.commit()
    refused = browser.post(address, data=typed)
    assert refused.status_code == 409
    assert "Nothing was undone" in refused.text
    assert "2 were booked since on what goes back, and stay with RINA: SINCE, LATER" in text_of(
        refused.text
    )
    undone = browser.post(address, data=fields_of(refused.text, address))
    assert (undone.status_code, undone.location) == (303, "/customers/R1NA")
    session.rollback()
    owner = select(Invoice.number).join(Invoice.customer).where(Customer.code == "RINA")
    assert set(session.scalars(owner)) == {"INV-M-1", "BEFORE", "SINCE", "LATER", "ELSEWHERE"}
    assert stored(outside) == must_be_stored(outside)


def test_what_has_moved_on_since_stays_where_it_is(
    session: Any, outside: Outside, pair: tuple[Customer, Customer]
) -> None:
    record = merge(session, *pair)
    other = CustomerFactory(code="BUDI")
    moved = session.scalars(select(Invoice).where(Invoice.number == "INV-M-2")).one()
    moved.customer_id = other.id
    session.commit()
    done = merging.undo(session, record.id)
    session.commit()
    reported = {way.owned.name: (len(way.back), way.moved_on) for way in done.ways}
    assert reported["invoices"] == (1, 1)
    assert owed_by(outside, "R1NA") == (300, 50), "the assignment of the meter decides"
    assert stored(outside) == must_be_stored(outside)


def test_any_number_of_merges_undone_in_reverse_leave_everything_as_it_was(
    session: Any, outside: Outside
) -> None:
    chance = random.Random(5)
    customers = [CustomerFactory(code=f"C{n}") for n in range(5)]
    for n in range(9):
        meter_of(
            chance.choice(customers),
            f"M-{n}",
            owed=chance.randint(1, 500),
            paid=chance.randint(1, 500),
            is_active=chance.random() < 0.7,
        )
    session.commit()
    before, records = everything(outside), []
    while len(customers) > 1:
        survivor, duplicate = chance.sample(customers, 2)
        records.append(merge(session, survivor, duplicate).id)
        customers.remove(duplicate)
        assert stored(outside) == must_be_stored(outside)
    for record in reversed(records):
        merging.undo(session, record)
        session.commit()
        assert stored(outside) == must_be_stored(outside)
    assert everything(outside) == before


HOLDINGS: dict[str, Callable[[Customer], object]] = {
    "meter_assignments": lambda customer: meter_of(customer, "M-1", is_active=False),
    "invoices": lambda customer: InvoiceFactory(customer=customer, status="void"),
    "payments": lambda customer: PaymentFactory(customer=customer),
    "meter_adjustments": lambda customer: MeterAdjustmentFactory(customer=customer),
}


@pytest.mark.parametrize("name", HOLDINGS)
def test_a_customer_with_anything_of_billing_is_not_deleted(session: Any, name: str) -> None:
    customer = CustomerFactory()
    HOLDINGS[name](customer)
    session.commit()
    with pytest.raises(actions.CustomerKept):
        run_verb(session, CUSTOMER, CUSTOMER.verbs[0], customer.id, 1, {})
    assert {owned.name for owned in actions.held_by(session, customer)} == {name}
    session.rollback()


WRITES = {
    "meter_assignments": "INSERT INTO meter_assignments (meter_id, customer_id) SELECT id, %(b)s FROM meters LIMIT 1",
    "invoices": "INSERT INTO invoices (number, customer_id, issued_on, due_on) VALUES ('NEW', %(b)s, now(), now())",
    "payments": "INSERT INTO payments (reference, customer_id, paid_on, amount) VALUES ('NEW', %(b)s, now(), 1)",
    "meter_adjustments": "INSERT INTO meter_adjustments (number, meter_id, customer_id, adjusted_on, amount, reason) "
    "SELECT 'NEW', id, %(b)s, now(), 0, 'Why' FROM meters LIMIT 1",
}


@pytest.mark.leaves_drift
@pytest.mark.parametrize("table", WRITES)
def test_what_a_program_books_on_a_merged_customer_ends_at_the_survivor(
    session: Any, outside: Outside, table: str
) -> None:
    a, b, c = (CustomerFactory(code=code) for code in "ABC")
    meter_of(None, "M-1")
    session.commit()
    merge(session, a, b)
    merge(session, c, a)
    outside.execute(WRITES[table].encode(), {"b": b.id})
    owners = outside.execute(f"SELECT customer_id FROM {table}".encode()).fetchall()
    assert owners == [(c.id,)]


def test_a_meter_assigned_while_the_merge_is_under_way_is_the_survivors(
    app: Flask, session: Any, outside: Outside, database_url: str
) -> None:
    rina, twice = CustomerFactory(code="RINA"), CustomerFactory(code="R1NA")
    meter = meter_of(None, "M-1", owed=10)
    session.commit()
    digest = merging.preview(session, rina, twice).digest
    keys = rina.id, twice.id, meter.id
    session.rollback()
    meet = barrier(2)

    def merge_slowly() -> None:
        merging.merge(db.session, keys[0], keys[1], taken=[], digest=digest)
        meet.wait()
        with psycopg.connect(database_url, autocommit=True) as observer:
            waiting, end = "SELECT count(*) FROM pg_locks WHERE NOT granted", time.monotonic() + 30
            while observer.execute(waiting).fetchone() == (0,):
                assert time.monotonic() < end, "no session waited for the merge"
        db.session.commit()

    def assign() -> None:
        meet.wait()
        db.session.add(MeterAssignment(meter_id=keys[2], customer_id=keys[1]))
        db.session.commit()

    together(app, merge_slowly, assign)
    assert [row[0] for row in assignments(outside, "M-1")] == ["RINA"]
    assert (owed_by(outside, "RINA"), owed_by(outside, "R1NA")) == ((10, 0), (0, 0))
    assert session.scalars(select(Payment)).all() == []
