"""Figures that build on figures: verified and healed without reading the facts once per dependent figure."""

from datetime import date
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.billing.figures import RECALCULATED, invoice_amount
from backoffice.billing.models import Invoice, Meter, MeterAssignment
from backoffice.customers.models import Customer
from backoffice.drift.amounts import leading_in_sql
from backoffice.drift.findings import CORRECTIONS, as_item
from backoffice.drift.healing.chunks import _apart
from backoffice.figures import registry
from backoffice.figures.computing import dependencies
from backoffice.figures.keeping import drain
from backoffice.figures.keeping.drain import correction_of
from backoffice.figures.keeping.notes import Touched
from backoffice.figures.models import Correction
from backoffice.figures.verifying.healing import Healer
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.surgery import tell_of_everything

TAMPERINGS = (
    "UPDATE meters SET invoiced = invoiced + 7 WHERE id % {n} = 0",
    "UPDATE meters SET paid = 0, balance = balance + 1 WHERE id % {n} = 1",
    "UPDATE meters SET overpayment = 12.34 WHERE id % {n} = 2",
    "UPDATE customers SET balance = balance - 5 WHERE id % {n} = 0",
    "UPDATE customers SET overpayment = balance WHERE id % {n} = 1",
    "UPDATE invoices SET amount = amount + 1 WHERE id % {n} = 3",
    "UPDATE invoices SET rate = rate * 2 WHERE id % {n} = 4 AND units IS NOT NULL",
    "UPDATE payments SET amount = amount + 3 WHERE id % {n} = 0",
    "UPDATE payments SET status = 'void' WHERE id % {n} = 1",
    "UPDATE meter_assignments SET is_active = false WHERE id % {n} = 2",
    "UPDATE meter_assignments SET customer_id = (SELECT min(id) FROM customers) WHERE id % {n} = 1",
)
"""Tampering with facts and figures while every trigger is off."""


@pytest.fixture
def book(session: Any) -> list[Customer]:
    """Eight customers; some with two meters, one with an inactive one, one meter without a customer."""
    customers = [CustomerFactory() for _ in range(8)]
    meters = []
    for n, customer in enumerate(customers):
        for m in range(1 + n % 2):
            meter = MeterAssignmentFactory(customer=customer, is_active=(n, m) != (5, 1)).meter
            meters.append((customer, meter))
    meters.append((customers[0], MeterFactory()))
    for n, (customer, meter) in enumerate(meters):
        for month in (1, 2, 3):
            invoice = InvoiceFactory(
                customer=customer,
                meter=meter,
                units=Decimal(n + month),
                issued_on=date(2026, month, 1),
            )
        PaymentFactory(customer=customer, meter=meter, amount=Decimal(300 * n + 1), invoice=invoice)
        MeterAdjustmentFactory(customer=customer, meter=meter, amount=Decimal(25 - 10 * n))
    session.commit()
    return customers


def reported(found: Any) -> set[tuple[Any, ...]]:
    return {
        (f.figure.name, f.owner, str(f.stored), str(f.expected), tuple(sorted(map(str, f.roots))))
        for f in found
    }


@pytest.mark.leaves_drift
@pytest.mark.parametrize("seed", range(12))
def test_a_verification_of_everything_finds_what_verifying_each_figure_by_itself_finds(
    session: Any, book: list[Customer], surgery: psycopg.Connection[Any], seed: int
) -> None:
    random = Random(seed)
    for tampering in random.sample(TAMPERINGS, 3):
        surgery.execute(tampering.format(n=random.choice([1, 2, 5, 7])).encode())
    together = reported(figures.verify(session))
    separately = {
        found for f in registry.figures for found in reported(figures.verify(session, [f]))
    }
    assert together == separately
    given = {
        found
        for bundle in registry.bundles
        for found in reported(
            figures.verify(session, bundle.figures, db.session.scalars(select(bundle.owner_key)))
        )
    }
    assert together == given


def recalculate(customers: list[int], *, actor: str = "test") -> list[Any]:
    """Recalculate these customers; returns what could not be corrected."""
    failures: list[Any] = []
    healer = Healer(registry, db.engine.begin, failures.append)
    tower = registry.bundles_of(RECALCULATED)
    healer.heal(tower, customers, correction_of("heal", actor))
    return failures


@pytest.mark.leaves_drift  # documents of the meter without a customer, and invoices, are not in its scope
@pytest.mark.parametrize("seed", range(8))
def test_a_tower_corrects_exactly_what_is_wrong_of_customers_and_their_meters(
    session: Any, book: list[Customer], surgery: psycopg.Connection[Any], seed: int
) -> None:
    random = Random(100 + seed)
    facts = [t for t in TAMPERINGS if "invoices" not in t]
    for tampering in random.sample(facts, 4):
        surgery.execute(tampering.format(n=random.choice([1, 2, 5])).encode())
    tell_of_everything(surgery)  # the changed facts among them were accepted
    ids = [customer.id for customer in book]
    assigned = {row.meter_id for row in session.execute(_assignments())}
    wrong = {
        (f.figure.name, f.owner)
        for f in figures.verify(session, RECALCULATED)
        if f.figure.table.name == "customers" or f.owner in assigned
    }
    assert recalculate(ids) == []
    left = {f.owner for f in figures.verify(session, RECALCULATED)}
    assert left.isdisjoint(assigned) or left <= set(session.scalars(_unassigned()))
    corrections = {(c.figure, c.owner) for c in session.scalars(select(Correction))}
    assert corrections == wrong
    assert session.scalar(select(func.count()).select_from(Correction)) == len(wrong)


def _assignments() -> Any:
    return select(MeterAssignment.meter_id)


def _unassigned() -> Any:
    return select(Meter.id).where(Meter.id.not_in(_assignments()))


def drained_alone(meter: int, customer: int) -> None:
    """One of a customer's two meters is compared with the facts, and the customer with it."""
    tower = registry.bundles_of(RECALCULATED)
    with db.engine.begin() as connection:
        pending = {b.name: Touched(owners={meter}) for b in tower[:-1]}
        pending[tower[-1].name] = Touched(owners={customer})
        drain.drain(connection, registry, pending, correction_of("heal"))


@pytest.fixture
def two_meters(session: Any) -> tuple[Customer, Meter, Meter]:
    """A customer who owes 1,500.00 for each of two meters."""
    customer = CustomerFactory()
    meters = [MeterAssignmentFactory(customer=customer).meter for _ in range(2)]
    for meter in meters:
        InvoiceFactory(customer=customer, meter=meter)
    session.commit()
    return customer, meters[0], meters[1]


@pytest.mark.leaves_drift
def test_a_stored_figure_that_this_drain_has_not_compared_is_not_trusted(
    session: Any, two_meters: tuple[Customer, Meter, Meter], surgery: psycopg.Connection[Any]
) -> None:
    customer, one, other = two_meters
    surgery.execute("UPDATE meters SET balance = 9 WHERE id = %s", [other.id])
    surgery.execute("UPDATE customers SET balance = 1")
    drained_alone(one.id, customer.id)
    session.refresh(customer)
    assert customer.balance == 3000, "by the facts, whatever is stored of the other meter"


@pytest.mark.leaves_drift
def test_a_drain_that_trusts_whatever_is_stored_writes_a_wrong_balance(
    session: Any,
    two_meters: tuple[Customer, Meter, Meter],
    surgery: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant of the test above."""
    customer, one, other = two_meters
    surgery.execute("UPDATE meters SET balance = 9 WHERE id = %s", [other.id])
    surgery.execute("UPDATE customers SET balance = 1")
    monkeypatch.setattr(drain._Drains, "is_by_facts", False)
    drained_alone(one.id, customer.id)
    session.refresh(customer)
    assert customer.balance == 1509


def test_a_meter_with_a_wrong_invoice_and_its_customer_are_right_by_the_facts(
    session: Any, two_meters: tuple[Customer, Meter, Meter], surgery: psycopg.Connection[Any]
) -> None:
    customer, one, other = two_meters
    surgery.execute("UPDATE invoices SET amount = 1 WHERE meter_id = %s", [one.id])
    surgery.execute("UPDATE meters SET balance = 0, invoiced = 0")
    surgery.execute("UPDATE customers SET balance = 0")
    tower(customer.id)
    for row in (customer, one, other):
        session.refresh(row)
    assert (one.invoiced, one.balance, other.invoiced, other.balance) == (1500,) * 4
    assert customer.balance == 3000
    assert {f.figure.name for f in figures.verify(session)} == {"invoices.amount"}
    figures.heal(session, [invoice_amount])
    recalculate([customer.id])
    assert not list(figures.verify(session))


def _never(failure: Any) -> None:
    raise AssertionError(failure)


def test_a_customer_with_a_refused_row_fails_alone(
    session: Any,
    book: list[Customer],
    surgery: psycopg.Connection[Any],
    owner_connection: psycopg.Connection[Any],
) -> None:
    ids = [customer.id for customer in book]
    refused = ids[3]
    session.rollback()  # the rules of customers cannot change while a transaction reads them
    surgery.execute("UPDATE customers SET balance = balance + 1")
    surgery.execute("UPDATE meters SET balance = balance + 1, overpayment = 0")
    owner_connection.execute(
        f"ALTER TABLE customers ADD CONSTRAINT refused CHECK (id <> {refused} OR balance > 100000) NOT VALID"
    )
    try:
        failures = recalculate(ids)
    finally:
        owner_connection.execute("ALTER TABLE customers DROP CONSTRAINT refused")
    assert [f.owner for f in failures] == [refused]
    wrong = {
        f.owner for f in figures.verify(session, RECALCULATED) if f.figure.table.name == "customers"
    }
    assert wrong == {refused}
    assert recalculate([refused]) == []
    figures.heal(session)


def tower(*customers: int) -> drain.Drained:
    """A recalculation of these customers, of which nothing fails."""
    done = drain.Drained()
    healer = Healer(registry, db.engine.begin, _never, stands=done.add)
    healer.heal(registry.bundles_of(RECALCULATED), customers, correction_of("heal"))
    return done


def test_beneath_a_right_sum_a_wrong_invoice_changes_nothing_and_its_correction_neither(
    session: Any, two_meters: tuple[Customer, Meter, Meter], surgery: psycopg.Connection[Any]
) -> None:
    customer, one, _ = two_meters
    surgery.execute("UPDATE invoices SET amount = 1 WHERE meter_id = %s", [one.id])
    surgery.execute("UPDATE meters SET balance = 9 WHERE id = %s", [one.id])
    tower(customer.id)
    session.refresh(one)
    assert (one.invoiced, one.balance) == (1500, 1500)
    figures.heal(session, [invoice_amount])
    session.refresh(one)
    assert (one.invoiced, one.balance) == (1500, 1500)


@pytest.mark.leaves_drift
def test_a_former_owner_with_a_refused_row_does_not_fail_the_present_one(
    session: Any, surgery: psycopg.Connection[Any], owner_connection: psycopg.Connection[Any]
) -> None:
    former, present = CustomerFactory(), CustomerFactory()
    meter = MeterAssignmentFactory(customer=former, is_active=False).meter
    MeterAssignmentFactory(customer=present, meter=meter)
    InvoiceFactory(customer=present, meter=meter)
    ids = former.id, present.id
    session.commit()
    surgery.execute("UPDATE meters SET balance = 1")
    surgery.execute("UPDATE customers SET balance = balance + 1")
    owner_connection.execute(
        f"ALTER TABLE customers ADD CONSTRAINT refused CHECK (id <> {ids[0]} OR balance > 0) NOT VALID"
    )
    try:
        failures = recalculate(list(ids))
    finally:
        owner_connection.execute("ALTER TABLE customers DROP CONSTRAINT refused")
    assert [f.owner for f in failures] == [ids[0]]
    wrong = {(f.figure.name, f.owner) for f in figures.verify(session)}
    assert wrong == {("customers.balance", ids[0])}


def test_items_say_what_findings_say(
    session: Any, book: list[Customer], surgery: psycopg.Connection[Any]
) -> None:
    ids = [customer.id for customer in book]
    session.rollback()
    surgery.execute("UPDATE meters SET invoiced = invoiced + 7, balance = balance + 3")
    surgery.execute("UPDATE customers SET overpayment = overpayment + 2")
    wanted = [as_item(found) for found in figures.verify(session, RECALCULATED)]
    tower(*ids)
    figures.heal(session)
    before, after, name = CORRECTIONS.c.before, CORRECTIONS.c.after, CORRECTIONS.c.figure
    reported = session.execute(
        select(
            name,
            CORRECTIONS.c.owner,
            _apart(registry.figures, name, before, after),
            _apart(registry.figures, name, after, before),
            leading_in_sql(registry.figures, name, after, before)
            - leading_in_sql(registry.figures, name, before, after),
        )
    )
    found = {(row[0], row[1], *map(decimals, row[2:4]), row[4]) for row in reported}
    assert found == {
        (
            i["subject"],
            i["owner"],
            decimals(i["before"]),
            decimals(i["after"]),
            i["amounts"]["amount"],
        )
        for i in wanted
    }


def decimals(values: dict[str, str]) -> tuple[tuple[str, Decimal], ...]:
    return tuple(sorted((name, Decimal(value)) for name, value in values.items()))


def test_which_owners_figures_are_read_for_which_owners(
    session: Any, two_meters: tuple[Customer, Meter, Meter]
) -> None:
    customer, one, other = two_meters
    totals, balances, sums = registry.bundles_of(RECALCULATED)
    invoices = registry.bundle_of(invoice_amount)
    with db.engine.connect() as connection:
        beneath = dependencies.owners_beneath(connection, registry, sums, balances, [customer.id])
        assert beneath == {one.id, other.id}
        above = partial(dependencies.owners_above, connection, registry, sums, balances, [one.id])
        assert above() == {customer.id}
        assert above(between=(customer.id, customer.id)) == {customer.id}
        assert above(between=(customer.id + 1, customer.id + 9)) == set()
        assert dependencies.owners_beneath(connection, registry, balances, totals, [one.id]) == {
            one.id
        }
        read = dependencies.owners_beneath(connection, registry, totals, invoices, [one.id])
        assert read == set(session.scalars(select(Invoice.id).where(Invoice.meter_id == one.id)))


def test_a_plan_for_a_few_owners_does_not_read_those_of_all(session: Any) -> None:
    """A range that the plan does not know is guessed to be narrow: it was read first, and covered the whole book."""
    _totals, balances, sums = registry.bundles_of(RECALCULATED)
    for bounded in (False, True):
        statement = dependencies._reading(registry, sums, balances, is_bounded=bounded)
        assert statement is not None
        assert ("BETWEEN" in statement.text(db.engine.dialect)) is bounded
