"""A small book that the tests of billing's figures write to in every way."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from backoffice import figures
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory

from .ledgers import Ledger, Totals, stored

BILLING_FIGURES = (
    "invoices.amount",
    "invoices.paid",
    "meters.documents",
    "meters.balance",
    "customers.balance",
)


@dataclass
class Office:
    """Ada with two active meters and an inactive one, Bob with none; and what they contain.

    Ada owes 1,100.00 on one meter and has paid 250.00 too much on the other; 70.00 are owed for the
    inactive one, and count nowhere.
    """

    ada: int
    bob: int
    owing: int
    overpaid: int
    inactive: int
    assignment: int
    inactive_assignment: int
    metered: int
    entered: int
    part_payment: int
    overpayment: int
    unmatched: int
    adjustment: int
    outside: psycopg.Connection[Any]
    ledger: Ledger


def open_office(session: Any, outside: psycopg.Connection[Any]) -> Office:
    """The office, stored and right."""
    OrderFactory()  # which one of the write paths changes, too
    ada, bob = CustomerFactory(code="ADA"), CustomerFactory(code="BOB")
    owing, overpaid, inactive = (MeterFactory(number=f"M-{n}") for n in (1, 2, 3))
    active = [MeterAssignmentFactory(meter=meter, customer=ada) for meter in (owing, overpaid)]
    inactive_assignment = MeterAssignmentFactory(meter=inactive, customer=ada, is_active=False)
    metered = InvoiceFactory(customer=ada, meter=owing)
    by_hand = {"units": None, "rate": None, "fixed_charge": 0, "customer": ada}
    entered = InvoiceFactory(meter=overpaid, amount=Decimal("50.00"), **by_hand)
    InvoiceFactory(meter=inactive, amount=Decimal("70.00"), **by_hand)
    adjustment = MeterAdjustmentFactory(customer=ada, meter=owing)
    part_payment = PaymentFactory(customer=ada, meter=owing, invoice=metered)
    overpayment = PaymentFactory(customer=ada, meter=overpaid, amount=Decimal("300.00"))
    unmatched = PaymentFactory(customer=ada, amount=Decimal("12.34"))
    session.commit()
    rows = (ada, bob, owing, overpaid, inactive, active[0], inactive_assignment, metered, entered)
    keys = [row.id for row in (*rows, part_payment, overpayment, unmatched, adjustment)]
    session.rollback()
    ledger = Ledger.read(outside)
    assert stored(outside) == ledger.totals()
    return Office(*keys, outside=outside, ledger=ledger)


def right_in_the_transaction_and_at_commit(
    session: Any, office: Office, write: Callable[[], None], read: Callable[[Any], Totals]
) -> None:
    """`write` is right when read before the commit, undone by a rollback, and right at commit.

    The ledger's rows −1, −2, … stand for the new ones.
    """
    before = stored(office.outside)
    write()
    session.flush()
    assert _values(read(session)) == _values(office.ledger.totals())
    session.rollback()
    assert stored(office.outside) == before
    write()
    session.commit()
    assert _values(stored(office.outside)) == _values(office.ledger.totals())
    assert set(figures.noted(session).values()) == {0}
    assert office.outside.execute("SELECT count(*) FROM corrections").fetchone() == (0,)


def _values(totals: Totals) -> Any:
    """The figures, of new invoices without their keys."""
    known = {row: values for row, values in totals.items() if row[0] != "invoices"}
    invoices = sorted(sorted(v.items()) for row, v in totals.items() if row[0] == "invoices")
    return known, invoices


def noted_then_right(session: Any, office: Office, *, db_user: str) -> None:
    """What an outside program wrote is drift, and is right after one `heal_noted`, in its name."""
    before, expected = stored(office.outside), office.ledger.totals()
    assert before != expected
    drifted = {(f.figure.table.name, f.key["id"]) for f in figures.verify(session)}
    session.rollback()
    assert drifted == {row for row, values in expected.items() if before[row] != values}
    known = _newest(office)
    healed = figures.heal_noted(session)
    assert stored(office.outside) == expected
    assert set(figures.noted(session).values()) == {0}
    query = "SELECT figure, cause, db_user FROM corrections WHERE id > %s"
    made = office.outside.execute(query, [known]).fetchall()
    assert len(made) == len(healed.corrections) > 0
    assert {figure for figure, _, _ in made} <= set(BILLING_FIGURES)
    assert {(cause, user) for _, cause, user in made} == {("bypass", db_user)}
    assert figures.heal_noted(session).corrections == []


def _newest(office: Office) -> int:
    row = office.outside.execute("SELECT coalesce(max(id), 0) FROM corrections").fetchone()
    assert row is not None
    return int(row[0])
