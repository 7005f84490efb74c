"""Merging customers with meters and documents: what moves, and the balances after it."""

import time
from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.billing.models import MeterAssignment, Payment
from backoffice.customers import actions, merging
from backoffice.customers.models import Customer, CustomerMerge
from backoffice.customers.records import CUSTOMER
from backoffice.records.actions import run_verb
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.processes import barrier, together

from .meters import assignments, meter_of, must_be_stored, owed_by, stored

Outside = psycopg.Connection[Any]


@pytest.fixture
def outside(owner_connection: Outside) -> Outside:
    """Another program: it sees what is committed."""
    return owner_connection


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
    merge(session, *pair)
    assert (owed_by(outside, "RINA"), owed_by(outside, "R1NA")) == ((1300, 50), (0, 0))
    assert stored(outside) == must_be_stored(outside)
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
