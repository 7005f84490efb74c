"""Steps 1 and 2 of the migration: payments and invoices get their meters, invoices their amounts."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text

from backoffice.app.extensions import db
from backoffice.billing.migration.documents import PAYMENTS
from backoffice.billing.migration.placing import lock
from backoffice.billing.models import Invoice, Payment
from backoffice.customers.models import Customer
from backoffice.runs.models import RunItem
from tests.billing.books_of_meters import (
    DAY,
    a_customer,
    a_payment,
    an_assignment,
    an_invoice,
    applied,
    digest,
    items_of,
    meter_named,
    meters_of,
    step,
)
from tests.factories.billing import MeterFactory
from tests.surgery import past_every_trigger

ONE_DAY = timedelta(days=1)


def places(run: Any, *, without: Sequence[str] = ()) -> dict[str, dict[str, int]]:
    """What a step's report says: section, name, rows."""
    return {
        section: {
            name.removeprefix("billing."): line["rows"]
            for name, line in lines.items()
            if name not in without
        }
        for section, lines in run.result.items()
        if lines
    }


def test_a_payment_gets_the_meter_of_its_invoice_of_any_customer(session: Any) -> None:
    ada, bob = a_customer("A", "M-A"), a_customer("B", "M-B")
    invoice = an_invoice("INV-1", ada, meter=meter_named("M-A"))
    a_payment("P-1", bob, invoice=invoice)
    session.commit()
    run = step("payment-meters")
    assert meters_of("P-1") == {"P-1": "M-A"}
    assert places(run) == {"done": {"payment-by-invoice": 1}}


def test_a_payment_without_an_invoice_gets_the_one_meter_of_its_day(session: Any) -> None:
    a_payment("P-1", a_customer("A", "M-A"))
    session.commit()
    run = step("payment-meters")
    assert meters_of("P-1") == {"P-1": "M-A"}
    assert run.result["done"] == {"billing.payment-by-assignment": {"rows": 1, "amount": "500.00"}}


def test_the_balances_follow_in_the_same_transaction(session: Any) -> None:
    ada = a_customer("A", "M-A")
    an_invoice("INV-1", ada, meter=meter_named("M-A"))
    a_payment("P-1", ada)
    session.commit()
    assert session.get(Customer, ada.id).balance == Decimal(1500)
    step("payment-meters")
    assert session.get(Customer, ada.id).balance == Decimal(1000)


DAYS = {
    "ended on the day": ({"assigned_to": DAY}, "M-A"),
    "ended the day before": ({"assigned_to": DAY - ONE_DAY}, None),
    "began on the day": ({"assigned_from": DAY}, "M-A"),
    "began the day after": ({"assigned_from": DAY + ONE_DAY}, None),
    "inactive, over the day": ({"is_active": False, "assigned_to": DAY + ONE_DAY}, "M-A"),
    "inactive without a last day": ({"is_active": False}, None),
    "inactive and ended before": ({"is_active": False, "assigned_to": DAY - ONE_DAY}, None),
}


@pytest.mark.parametrize("days", DAYS, ids=str)
def test_only_an_assignment_that_covers_the_day_makes_it_sure(session: Any, days: str) -> None:
    given, expected = DAYS[days]
    ada = a_customer("A")
    an_assignment(ada, MeterFactory(number="M-A"), **given)
    a_payment("P-1", ada)
    an_invoice("INV-1", ada)
    session.commit()
    run = step("payment-meters")
    assert meters_of("P-1", "INV-1") == {"P-1": expected, "INV-1": expected}
    if expected is None:
        names = {"payment-no-assignment": 1, "invoice-no-assignment": 1}
        assert places(run) == {"left": names}


def test_two_meters_on_the_day_leave_it_unmatched_and_listed(session: Any) -> None:
    ada = a_customer("A", "M-1", "M-2")
    payment = a_payment("P-1", ada)
    session.commit()
    run = step("payment-meters")
    assert meters_of("P-1") == {"P-1": None}
    assert items_of(run) == [("billing.payment-several-assignments", payment.id, "skipped")]
    item = session.scalar(select(RunItem))
    assert item.error.startswith("More than one meter may have been assigned")
    assert (item.amount, item.concerns) == (None, Decimal(500))


def test_two_assignments_that_overlap_on_the_day_leave_it_unmatched(session: Any) -> None:
    ada = a_customer("A")
    an_assignment(ada, MeterFactory(number="M-1"), assigned_to=DAY)
    an_assignment(ada, MeterFactory(number="M-2"), assigned_from=DAY)
    a_payment("P-1", ada)
    session.commit()
    assert places(step("payment-meters")) == {"left": {"payment-several-assignments": 1}}


def test_of_two_meters_only_the_one_of_that_day_counts(session: Any) -> None:
    ada = a_customer("A")
    an_assignment(ada, MeterFactory(number="M-1"), assigned_to=DAY - ONE_DAY)
    an_assignment(ada, MeterFactory(number="M-2"), assigned_from=DAY)
    a_payment("P-1", ada)
    session.commit()
    step("payment-meters")
    assert meters_of("P-1") == {"P-1": "M-2"}


def test_the_same_meter_twice_over_the_day_is_one_meter(session: Any) -> None:
    ada, meter = a_customer("A"), MeterFactory(number="M-1")
    an_assignment(ada, meter, assigned_to=DAY, is_active=False)
    an_assignment(ada, meter, assigned_from=DAY)
    a_payment("P-1", ada)
    session.commit()
    step("payment-meters")
    assert meters_of("P-1") == {"P-1": "M-1"}


def test_invoices_without_a_meter_come_first_and_their_payments_follow_them(session: Any) -> None:
    ada, bob = a_customer("A", "M-A"), a_customer("B", "M-B1", "M-B2")
    invoice = an_invoice("INV-1", ada)
    a_payment("P-1", bob, invoice=invoice)
    session.commit()
    run = step("payment-meters")
    assert meters_of("INV-1", "P-1") == {"INV-1": "M-A", "P-1": "M-A"}
    done = {"invoice-by-assignment": 1, "payment-by-invoice": 1}
    assert places(run) == {"done": done}


def test_a_payment_waits_for_its_invoice_where_that_has_no_sure_meter(session: Any) -> None:
    ada, bob = a_customer("A", "M-A1", "M-A2"), a_customer("B", "M-B")
    a_payment("P-1", bob, invoice=an_invoice("INV-1", ada))
    session.commit()
    run = step("payment-meters")
    assert meters_of("INV-1", "P-1") == {"INV-1": None, "P-1": None}
    left = {"invoice-several-assignments": 1, "payment-invoice-without-meter": 1}
    assert places(run) == {"left": left}


def test_void_documents_and_those_with_a_meter_are_left_alone(session: Any) -> None:
    ada = a_customer("A", "M-A")
    bob = a_customer("B", "M-B")
    a_payment("P-1", ada, status="void", void_reason="Twice")
    a_payment("P-2", ada, meter=meter_named("M-B"))
    session.commit()
    run = step("payment-meters")
    assert (run.checked, items_of(run)) == (0, [])
    assert meters_of("P-1", "P-2") == {"P-1": None, "P-2": "M-B"}
    assert session.get(Customer, bob.id).overpayment == Decimal(500)


def test_a_stale_form_over_a_payment_that_was_placed_meanwhile_is_refused(session: Any) -> None:
    payment = a_payment("P-1", a_customer("A", "M-A"))
    session.commit()
    before = payment.version
    step("payment-meters")
    assert session.get(Payment, payment.id).version == before + 1


@pytest.fixture
def mixed(session: Any) -> None:
    """Payments of every sort: from invoices, by day, of several, of none, waiting."""
    ada, bob = a_customer("A", "M-A"), a_customer("B", "M-B1", "M-B2")
    without_meter = a_customer("C")
    invoice = an_invoice("INV-1", ada)
    a_payment("P-1", ada, invoice=invoice)
    a_payment("P-2", ada)
    a_payment("P-3", bob)
    a_payment("P-4", without_meter)
    a_payment("P-5", without_meter, invoice=an_invoice("INV-2", bob))
    session.commit()


ALL = ("INV-1", "INV-2", "P-1", "P-2", "P-3", "P-4", "P-5")


def test_a_dry_run_says_what_would_be_done_and_writes_only_runs(
    session: Any, mixed: None, owner_database_url: str
) -> None:
    before = digest(owner_database_url)
    dry = step("payment-meters", dry_run=True)
    assert digest(owner_database_url) == before
    assert (dry.changed, dry.skipped) == (3 + 3, 4), "the meter's and the customer's totals follow"
    real = step("payment-meters")
    totals = ["meters.documents", "meters.balance", "customers.balance"]
    assert places(real) == places(dry, without=totals)


def test_running_it_again_changes_nothing(
    session: Any, mixed: None, owner_database_url: str
) -> None:
    step("payment-meters")
    before = digest(owner_database_url)
    again = step("payment-meters")
    assert digest(owner_database_url) == before
    assert (again.changed, again.skipped) == (0, 4)


def test_what_a_dry_run_found_is_applied_and_what_moved_since_is_left(
    session: Any, mixed: None
) -> None:
    dry = step("payment-meters", dry_run=True)
    ada = session.scalar(select(Customer).where(Customer.code == "A"))
    an_assignment(ada, MeterFactory(number="M-A2"), assigned_from=DAY)
    session.commit()
    run = applied(dry)
    assert meters_of(*ALL) == dict.fromkeys(ALL)
    assert (run.changed, run.skipped) == (0, 6)


def test_what_a_dry_run_found_is_applied_in_full_where_nothing_moved(
    session: Any, mixed: None
) -> None:
    run = applied(step("payment-meters", dry_run=True))
    placed = {name: meter for name, meter in meters_of(*ALL).items() if meter}
    assert placed == {"INV-1": "M-A", "P-1": "M-A", "P-2": "M-A"}
    assert (run.changed, run.skipped) == (6, 0)


def test_one_that_cannot_be_placed_fails_alone_and_is_retried(session: Any) -> None:
    """A payment so large that the meter's sum would not fit."""
    ada = a_customer("A", "M-A")
    a_payment("P-0", ada, meter=meter_named("M-A"), amount=Decimal("9999999999999.00"))
    for number in range(1, 8):
        a_payment(f"P-{number}", ada, amount=Decimal(1000) if number == 4 else Decimal("0.01"))
    session.commit()
    run = step("payment-meters")
    placed = meters_of(*(f"P-{number}" for number in range(1, 8)))
    assert [name for name, meter in placed.items() if meter is None] == ["P-4"]
    assert (run.status, run.failed, run.changed) == ("finished with failures", 1, 6)
    assert run.result["failed"]["billing.payment-not-placed"]["rows"] == 1


# Step 2


@pytest.fixture
def amounts(session: Any, admin_database_url: str) -> Customer:
    """One right, one wrong, one entered, one with neither units nor an amount."""
    ada = a_customer("A", "M-A")
    meter = meter_named("M-A")
    for number in ("RIGHT", "WRONG"):
        an_invoice(number, ada, meter=meter)
    an_invoice("ENTERED", ada, meter=meter, units=None, rate=None, amount=Decimal(70))
    an_invoice("EMPTY", ada, meter=meter, units=None, rate=None, fixed_charge=0)
    session.commit()
    with past_every_trigger(admin_database_url) as connection:
        connection.execute("UPDATE invoices SET amount = 0 WHERE number = 'WRONG'")
    return ada


@pytest.mark.leaves_drift
def test_a_dry_run_of_the_amounts_says_what_is_wrong_and_what_is_left(
    session: Any, amounts: Customer, owner_database_url: str
) -> None:
    before = digest(owner_database_url)
    run = step("invoice-amounts", dry_run=True)
    assert digest(owner_database_url) == before
    assert run.result["done"] == {"invoices.amount": {"rows": 1, "amount": "1500.00"}}
    assert run.result["right"] == {"invoices.amount": {"rows": 1}}
    assert run.result["left"] == {
        "billing.invoice-no-amount": {"rows": 1, "amount": "0.00"},
        "billing.invoice-entered": {"rows": 1, "amount": "70.00"},
    }


def test_amounts_are_computed_and_everything_above_them_follows(
    session: Any, amounts: Customer, owner_database_url: str
) -> None:
    run = step("invoice-amounts")
    assert run.result["done"]["invoices.amount"] == {"rows": 1, "amount": "1500.00"}
    wrong = session.scalar(select(Invoice).where(Invoice.number == "WRONG"))
    assert wrong.amount == Decimal(1500)
    assert session.get(Customer, amounts.id).balance == Decimal(3070)
    before = digest(owner_database_url)
    again = step("invoice-amounts")
    assert digest(owner_database_url) == before
    assert (again.changed, again.skipped) == (0, 1)


def test_amounts_that_a_dry_run_found_can_be_applied(session: Any, amounts: Customer) -> None:
    applied(step("invoice-amounts", dry_run=True))
    wrong = session.scalar(select(Invoice).where(Invoice.number == "WRONG"))
    assert wrong.amount == Decimal(1500)


def test_an_assignment_that_begins_meanwhile_waits_for_the_placing(session: Any) -> None:
    """The rows that decide a payment's meter are locked while it gets one."""
    ada = a_customer("A", "M-A")
    payment = a_payment("P-1", ada)
    session.commit()
    with db.engine.connect() as first, db.engine.connect() as second:
        lock(first, PAYMENTS, [payment.id])
        second.execute(text("SET lock_timeout = '50ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            second.execute(text("UPDATE meter_assignments SET assigned_to = '2020-01-01'"))
