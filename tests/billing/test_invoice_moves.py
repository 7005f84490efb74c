"""Voiding an invoice and moving it to another meter: its payments, and both sides' balances."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from backoffice.billing.invoices import actions
from backoffice.billing.invoices.refusals import ReasonMissing, SameMeter, VoidStaysVoid
from backoffice.billing.models import Meter
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, MeterFactory

from .invoices import balances, change, entry, invoice_on, owner, paid, wanjirus_meter


@pytest.fixture
def meter(session: Any) -> Meter:
    """Meter M-1 of Wanjiru."""
    return wanjirus_meter(session)


# Void


def test_a_void_invoice_counts_nowhere_and_keeps_its_reason(session: Any, meter: Meter) -> None:
    invoice = invoice_on(meter)
    session.commit()
    assert actions.void(session, invoice.id, 1, "  Read twice ") == []
    assert balances(session, meter, owner(meter)) == [(0, 0), (0, 0)]
    assert (invoice.status, invoice.void_reason, invoice.amount) == ("void", "Read twice", 1500)


def test_what_was_paid_on_a_void_invoice_stays_on_the_meter(session: Any, meter: Meter) -> None:
    invoice, other = invoice_on(meter), invoice_on(meter)
    payment = paid(invoice, 600)
    session.commit()
    assert actions.void(session, invoice.id, 1, "Read twice") == [payment]
    assert balances(session, meter, owner(meter)) == [(900, 0), (900, 0)]
    assert (payment.invoice_id, payment.meter_id, payment.version) == (None, meter.id, 2)
    assert (invoice.paid, other.paid) == (0, 0)


def test_no_void_without_a_reason_and_none_twice(session: Any, meter: Meter) -> None:
    invoice = invoice_on(meter)
    session.commit()
    with pytest.raises(ReasonMissing):
        actions.void(session, invoice.id, 1, "  ")
    actions.void(session, invoice.id, 1, "Twice")
    session.commit()
    for refused in (
        lambda: actions.void(session, invoice.id, 2, "Again"),
        lambda: change(session, invoice.id, entry(meter), 2),
        lambda: actions.move(session, invoice.id, 2, meter.id),
    ):
        with pytest.raises(VoidStaysVoid, match="Enter a new invoice"):
            refused()


# Another meter


def test_an_invoice_moves_with_its_payments_and_both_sides_are_right_at_once(
    session: Any, meter: Meter
) -> None:
    invoice, other = invoice_on(meter), MeterAssignmentFactory().meter
    invoice_on(meter, units=Decimal(1), fixed_charge=0)
    payment = paid(invoice, 600)
    session.commit()
    assert actions.move(session, invoice.id, 1, other.id) == [payment]
    assert balances(session, meter, owner(meter), other, owner(other)) == [
        (100, 0), (100, 0), (900, 0), (900, 0),
    ]  # fmt: skip
    assert (invoice.customer_id, payment.customer_id) == (owner(other).id, owner(meter).id)
    assert (payment.meter_id, payment.invoice_id) == (other.id, invoice.id)


def test_payments_that_stay_behind_name_it_no_more(session: Any, meter: Meter) -> None:
    invoice, other = invoice_on(meter), MeterAssignmentFactory().meter
    payment = paid(invoice, 600)
    session.commit()
    actions.move(session, invoice.id, 1, other.id, with_payments=False)
    assert balances(session, meter, other) == [(0, 600), (1500, 0)]
    assert (payment.meter_id, payment.invoice_id, invoice.paid) == (meter.id, None, 0)


def test_void_payments_stay_where_they_are(session: Any, meter: Meter) -> None:
    invoice, other = invoice_on(meter), MeterAssignmentFactory().meter
    payment = paid(invoice, 600, status="void", void_reason="Bounced")
    session.commit()
    assert actions.move(session, invoice.id, 1, other.id) == []
    session.commit()
    assert (payment.meter_id, payment.version) == (meter.id, 1)


def test_it_becomes_the_invoice_of_whose_meter_it_was_on_its_day(
    session: Any, meter: Meter
) -> None:
    invoice, other = invoice_on(meter), MeterFactory()
    then = MeterAssignmentFactory(
        meter=other, is_active=False, assigned_to=date(2026, 3, 15)
    ).customer
    now = MeterAssignmentFactory(meter=other, assigned_from=date(2026, 3, 16)).customer
    session.commit()
    actions.move(session, invoice.id, 1, other.id)
    assert invoice.customer_id == then.id
    assert balances(session, then, now) == [(0, 0), (1500, 0)]


def test_a_meter_that_is_nobodys_leaves_the_customer(session: Any, meter: Meter) -> None:
    invoice, other = invoice_on(meter), MeterFactory()
    session.commit()
    actions.move(session, invoice.id, 1, other.id)
    session.commit()
    assert (invoice.customer_id, invoice.meter_id) == (owner(meter).id, other.id)


def test_it_does_not_move_to_where_it_is(session: Any, meter: Meter) -> None:
    invoice = invoice_on(meter)
    session.commit()
    with pytest.raises(SameMeter):
        actions.move(session, invoice.id, 1, meter.id)


def test_one_without_a_meter_gets_one(session: Any, meter: Meter) -> None:
    invoice = InvoiceFactory(customer=owner(meter))
    session.commit()
    actions.move(session, invoice.id, 1, meter.id)
    assert balances(session, meter) == [(1500, 0)]
