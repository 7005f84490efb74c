"""Steps 3 and 6: a sound book passes every check and ties out; every tampering is found."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.base import periods
from backoffice.billing.migration.checks import CHECKS
from backoffice.billing.migration.lines import open_rows, ties_out
from backoffice.billing.migration.proving import PROOFS, TOTALS
from backoffice.billing.migration.report import ERROR, INFO, WARNING
from backoffice.billing.models import Invoice, Meter, MeterAssignment, Payment
from backoffice.customers.models import Customer
from backoffice.runs.models import RunItem
from tests.billing.books_of_meters import (
    DAY,
    a_customer,
    a_payment,
    an_invoice,
    digest,
    meter_named,
    step,
)
from tests.factories.billing import MeterAdjustmentFactory, MeterFactory
from tests.surgery import past_every_trigger

ONE_DAY = timedelta(days=1)


@pytest.fixture
def sound(session: Any) -> None:
    """Two customers, one meter each, with documents that pass every check."""
    for code in ("A", "B"):
        customer = a_customer(code, f"M-{code}")
        meter = meter_named(f"M-{code}")
        invoice = an_invoice(f"INV-{code}", customer, meter=meter)
        a_payment(f"P-{code}", customer, meter=meter, invoice=invoice)
    session.commit()


def found_by(run: Any) -> set[str]:
    """The checks that have found anything."""
    return {name.removeprefix("billing.check-") for name in run.result["left"]}


def test_a_sound_book_stands_every_check(
    session: Any, sound: None, owner_database_url: str
) -> None:
    before = digest(owner_database_url)
    run = step("validation")
    assert (run.status, found_by(run), run.changed, run.skipped) == ("done", set(), 0, 0)
    assert run.result["passed"] == len(CHECKS)
    assert run.result["severities"] == {ERROR: 0, WARNING: 0, INFO: 0}
    assert digest(owner_database_url) == before


def of(session: Any, model: Any, **facts: Any) -> Any:
    return session.scalars(select(model).filter_by(**facts)).one()


def customer(session: Any, code: str) -> Any:
    return of(session, Customer, code=code)


def never_assigned(session: Any) -> None:
    an_invoice("INV-X", customer(session, "A"), meter=MeterFactory(number="M-X"))


def unassigned_now(session: Any) -> None:
    meter = meter_named("M-A")
    assignment = of(session, MeterAssignment, meter_id=meter.id)
    assignment.is_active, assignment.assigned_to = False, DAY


def invoice_without_meter(session: Any) -> None:
    an_invoice("INV-X", customer(session, "A"))


def payment_without_meter(session: Any) -> None:
    a_payment("P-X", customer(session, "A"), amount=Decimal(1))


def past_its_invoice(session: Any) -> None:
    invoice = of(session, Invoice, number="INV-A")
    a_payment(
        "P-X", customer(session, "A"), meter=invoice.meter, invoice=invoice,
        amount=Decimal("1000.01"),
    )  # fmt: skip


def on_another_meter(session: Any) -> None:
    of(session, Payment, reference="P-A").meter = meter_named("M-A2")


def with_a_second_meter(session: Any) -> None:
    from tests.billing.books_of_meters import an_assignment

    an_assignment(customer(session, "A"), MeterFactory(number="M-A2"))


def paid_though_void(session: Any) -> None:
    invoice = of(session, Invoice, number="INV-A")
    invoice.status, invoice.void_reason = "void", "Twice"


def paid_twice(session: Any) -> None:
    first = of(session, Payment, reference="P-A")
    a_payment("P-X", first.customer, meter=first.meter, invoice=first.invoice)


def invoiced_twice(session: Any) -> None:
    first = of(session, Invoice, number="INV-A")
    an_invoice("INV-X", first.customer, meter=first.meter)


def begins_later(session: Any) -> None:
    meter = meter_named("M-A")
    of(session, MeterAssignment, meter_id=meter.id).assigned_from = DAY + ONE_DAY


def adjusted_before(session: Any) -> None:
    meter, today = meter_named("M-B"), DAY
    of(session, MeterAssignment, meter_id=meter.id).assigned_from = today
    MeterAdjustmentFactory(
        meter=meter, customer=customer(session, "B"), adjusted_on=today - ONE_DAY
    )


def of_a_stranger(session: Any) -> None:
    invoice, payment = of(session, Invoice, number="INV-A"), of(session, Payment, reference="P-A")
    invoice.customer = payment.customer = customer(session, "B")


def adjusted_for_a_stranger(session: Any) -> None:
    MeterAdjustmentFactory(meter=meter_named("M-A"), customer=customer(session, "B"))


def active_and_over(session: Any) -> None:
    meter = meter_named("M-A")
    of(session, MeterAssignment, meter_id=meter.id).assigned_to = periods.today() - ONE_DAY


def active_and_to_come(session: Any) -> None:
    meter, tomorrow = MeterFactory(number="M-X"), periods.today() + ONE_DAY
    session.add(
        MeterAssignment(meter=meter, customer=customer(session, "A"), assigned_from=tomorrow)
    )


def inactive_and_to_come(session: Any) -> None:
    active_and_to_come(session)
    session.flush()
    of(session, MeterAssignment, assigned_to=None, meter_id=meter_named("M-X").id).is_active = False


def inactive_for_ever(session: Any) -> None:
    meter = MeterFactory(number="M-X")
    session.add(MeterAssignment(meter=meter, customer=customer(session, "A"), is_active=False))


def adjusted(session: Any) -> None:
    MeterAdjustmentFactory(
        meter=meter_named("M-A"), customer=customer(session, "A"), adjusted_on=DAY
    )


TAMPERED: dict[Callable[[Any], None], set[str]] = {
    never_assigned: {"meter-of-nobody", "invoice-of-stranger"},
    unassigned_now: {"meter-without-active"},
    invoice_without_meter: {"invoice-without-meter"},
    payment_without_meter: {"payment-without-meter"},
    past_its_invoice: {"invoice-overpaid"},
    paid_though_void: {"invoice-of-void-paid"},
    paid_twice: {"payment-twice"},
    invoiced_twice: {"invoice-twice"},
    begins_later: {"invoice-outside", "payment-outside"},
    adjusted_before: {"adjustment-outside", "adjustments"},
    of_a_stranger: {"invoice-of-stranger", "payment-of-stranger"},
    adjusted_for_a_stranger: {"adjustment-of-stranger", "adjustments"},
    active_and_over: {"active-but-ended"},
    active_and_to_come: {"active-ahead"},
    inactive_and_to_come: set(),
    inactive_for_ever: {"inactive-without-end"},
    adjusted: {"adjustments"},
}


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda tamper: tamper.__name__)
def test_whatever_is_tampered_with_is_found_and_nothing_else(
    session: Any, sound: None, tamper: Callable[[Any], None]
) -> None:
    tamper(session)
    session.commit()
    assert found_by(step("validation")) == TAMPERED[tamper]


def test_a_payment_on_another_meter_than_its_invoice_is_found(session: Any, sound: None) -> None:
    with_a_second_meter(session)
    session.commit()
    assert found_by(step("validation")) == set()
    on_another_meter(session)
    session.commit()
    assert found_by(step("validation")) == {"payment-on-another-meter"}


def test_every_check_has_a_test_that_tampers(session: Any) -> None:
    tested = set().union(*TAMPERED.values()) | {"payment-on-another-meter"}
    assert {f"billing.check-{name}" for name in tested} == set(CHECKS)


def test_a_finding_names_the_row_the_amount_and_what_to_compare_it_with(
    session: Any, sound: None
) -> None:
    paid_twice(session)
    session.commit()
    step("validation")
    item = session.scalar(select(RunItem))
    second = of(session, Payment, reference="P-X")
    assert (item.owner, item.concerns, item.details) == (second.id, Decimal(500), {"about": "P-A"})
    assert item.error == CHECKS["billing.check-payment-twice"].case.why


def test_parts_of_one_receipt_are_not_twice_the_same(session: Any, sound: None) -> None:
    first = of(session, Payment, reference="P-A")
    a_payment("P-A", first.customer, part=2, meter=first.meter, invoice=first.invoice)
    session.commit()
    assert found_by(step("validation")) == set()


def test_void_documents_fail_no_check(session: Any, sound: None) -> None:
    void = {"status": "void", "void_reason": "Twice"}
    ada = customer(session, "A")
    an_invoice("INV-X", ada, **void)
    a_payment("P-X", ada, **void)
    session.commit()
    assert found_by(step("validation")) == set()


def test_adjustments_are_listed_and_leave_nothing_to_be_done(session: Any, sound: None) -> None:
    adjusted(session)
    session.commit()
    run = step("validation")
    assert (open_rows(run), run.result["severities"]) == (0, {ERROR: 0, WARNING: 0, INFO: 1})


# Step 6


def test_a_sound_book_ties_out_to_the_cent(
    session: Any, sound: None, owner_database_url: str
) -> None:
    unmatched, of_no_customer = customer(session, "A"), MeterFactory(number="M-N")
    a_payment("P-X", unmatched, amount=Decimal("0.01"))
    an_invoice(
        "INV-N", unmatched, meter=of_no_customer, units=None, rate=None, amount=Decimal("33.33")
    )
    MeterAdjustmentFactory(meter=meter_named("M-A"), customer=unmatched, amount=Decimal("-7.77"))
    session.commit()
    before = digest(owner_database_url)
    run = step("proof")
    assert digest(owner_database_url) == before
    assert (run.result["left"], ties_out(run)) == ({}, True)
    assert run.result["totals"] == {
        "invoices": "3033.33",
        "adjustments": "-7.77",
        "payments": "1000.01",
        "documents": "2025.55",
        "without_meter": "-0.01",
        "meters": "2025.56",
        "meters_difference": "0.00",
        "unassigned": "33.33",
        "customers": "1992.23",
        "customers_difference": "0.00",
    }
    assert set(run.result["totals"]) == set(TOTALS)


SURGERY = {
    "UPDATE invoices SET amount = amount + 1 WHERE number = 'INV-A'": {"invoice", "meter", "customer"},
    "UPDATE invoices SET paid = 0 WHERE number = 'INV-A'": {"paid"},
    "UPDATE meters SET invoiced = invoiced + 1, paid = paid + 1 WHERE number = 'M-A'": {"meter"},
    "UPDATE meters SET balance = balance + 1 WHERE number = 'M-A'": {"meter"},
    "UPDATE customers SET overpayment = 1 WHERE code = 'A'": {"customer"},
    "UPDATE payments SET amount = amount + 1 WHERE reference = 'P-A'": {"paid", "meter", "customer"},
    "UPDATE meter_assignments SET is_active = false WHERE customer_id = 1": {"customer"},
}  # fmt: skip


@pytest.mark.leaves_drift
@pytest.mark.parametrize("statement", SURGERY)
def test_what_was_changed_past_every_trigger_is_found_by_the_proof(
    session: Any, sound: None, admin_database_url: str, statement: str
) -> None:
    with past_every_trigger(admin_database_url) as connection:
        connection.execute(statement)
    run = step("proof")
    found = {name.removeprefix("billing.proof-") for name in run.result["left"]}
    assert found == SURGERY[statement]


@pytest.mark.leaves_drift
def test_a_difference_is_named_with_what_is_stored_and_what_it_should_be(
    session: Any, sound: None, admin_database_url: str
) -> None:
    with past_every_trigger(admin_database_url) as connection:
        connection.execute("UPDATE meters SET balance = 900.5 WHERE number = 'M-A'")
    run = step("proof")
    item = session.scalar(select(RunItem).where(RunItem.run_id == run.id))
    assert (item.subject, item.owner) == ("billing.proof-meter", meter_named("M-A").id)
    assert (item.before["balance"], item.after["balance"]) == ("900.50", "1000.00")
    assert item.amount == Decimal("99.50")
    assert not ties_out(run)
    assert run.result["totals"]["meters_difference"] == "-99.50"


def test_the_proof_knows_every_figure_of_billing(session: Any) -> None:
    assert {proof.table.name for proof in PROOFS.values()} == {"invoices", "meters", "customers"}
    assert session.scalar(select(Meter.id)) is None
