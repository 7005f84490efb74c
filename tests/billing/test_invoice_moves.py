"""Voiding an invoice and moving it to another meter: its payments, and both sides' balances."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.billing.invoices import actions
from backoffice.billing.invoices.refusals import ReasonMissing, SameMeter, VoidStaysVoid
from backoffice.billing.models import Invoice, Meter
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, MeterFactory
from tests.records.test_api import Program

from . import invoice_desk
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


def test_it_becomes_the_invoice_of_the_meters_owner_on_its_day(session: Any, meter: Meter) -> None:
    invoice, other = invoice_on(meter), MeterFactory()
    then = MeterAssignmentFactory(
        meter=other, is_active=False, assigned_to=date(2026, 3, 15)
    ).customer
    now = MeterAssignmentFactory(meter=other, assigned_from=date(2026, 3, 16)).customer
    session.commit()
    actions.move(session, invoice.id, 1, other.id)
    assert invoice.customer_id == then.id
    assert balances(session, then, now) == [(0, 0), (1500, 0)]


def test_an_unassigned_meter_leaves_the_customer(session: Any, meter: Meter) -> None:
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


# Moved by editing


@pytest.fixture
def two_meters(session: Any) -> None:
    """INV-1 of 1,500 on M-1 of Wanjiru, who has M-3 too; M-2 is Otieno's."""
    customer = invoice_desk.wanjiru(session)
    MeterAssignmentFactory(meter=MeterFactory(number="M-3"), customer=customer)
    invoice_desk.invoice_of(session, customer)


def where(session: Any) -> tuple[str, str]:
    session.rollback()
    invoice = session.scalars(select(Invoice)).one()
    return invoice.customer.code, invoice.meter.number


TO_M_2 = {"customer": "C-2 · Otieno", "meter": "M-2"}


@pytest.mark.parametrize("changes", [{"meter": "M-3"}, TO_M_2])
@pytest.mark.parametrize(
    ("setting", "limit"), [("APPROVAL_ABOVE_COUNT", 0), ("APPROVAL_ABOVE_AMOUNT", Decimal(1499))]
)
def test_above_the_limits_editing_moves_no_invoice(
    app: Any,
    session: Any,
    sign_in: Any,
    two_meters: None,
    changes: dict[str, str],
    setting: str,
    limit: Any,
) -> None:
    browser, before = sign_in("finance"), where(session)
    edit = "/billing/invoices/INV-1/edit"
    typed = invoice_desk.filled(browser, edit, **changes)
    app.config[setting] = limit
    refused = browser.post(edit, data=typed)
    assert refused.status_code == 422
    assert "Use “Move to another meter” on the invoice instead" in refused.text
    assert where(session) == before
    due = invoice_desk.filled(browser, edit, due_on="2026-12-31")
    assert browser.post(edit, data=due).status_code == 303, "the rest is edited as ever"


def test_below_the_limits_it_is_moved_by_editing(
    session: Any, sign_in: Any, two_meters: None
) -> None:
    browser, edit = sign_in("finance"), "/billing/invoices/INV-1/edit"
    answer = browser.post(edit, data=invoice_desk.filled(browser, edit, **TO_M_2))
    assert answer.status_code == 303
    assert where(session) == ("C-2", "M-2")


def test_nor_does_a_program_move_it(app: Any, session: Any, two_meters: None) -> None:
    program = Program(app, session, "invoices:write")
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    path = "/api/invoices/INV-1"
    for changes in ({"meter": "M-3"}, {"customer": "C-2", "meter": "M-2"}):
        refused = program.send("PATCH", path, match=1, json=changes)
        assert refused.status_code == 422
        assert "Move to another meter" in refused.text
    assert where(session) == ("C-1", "M-1")
    assert program.send("PATCH", path, match=1, json={"due_on": "2026-12-31"}).status_code == 200
    app.config["APPROVAL_ABOVE_COUNT"] = 1000
    assert program.send("PATCH", path, match=2, json={"meter": "M-3"}).status_code == 200
    assert where(session) == ("C-1", "M-3")
