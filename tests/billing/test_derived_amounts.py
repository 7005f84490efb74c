"""What is open, the usage and the net balance are the same wherever they are shown: each is defined once."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.base import periods
from backoffice.billing.ageing.queries import ageing_by_meter
from backoffice.billing.models import Invoice, Meter
from backoffice.billing.queries import paid_by_payments
from backoffice.billing.statements.queries import Period, summary_of
from backoffice.customers.models import Customer
from tests.factories.billing import PaymentFactory

from .invoice_desk import form_at, invoice_of, meter, wanjiru, words

PAID = {"INV-1": 0, "INV-2": 600, "INV-3": 1500, "INV-4": 1700}
"""What was paid on four invoices of 1,500.00; a fifth one is void."""


@pytest.fixture
def book(session: Any) -> Customer:
    """Unpaid, part paid, paid, overpaid and void invoices of Wanjiru on M-1."""
    customer, today = wanjiru(session), periods.today()
    for number, paid in PAID.items():
        invoice = invoice_of(session, customer, number=number, issued_on=today, due_on=today)
        if paid:
            on = {"invoice": invoice, "meter": invoice.meter, "customer": invoice.customer}
            PaymentFactory(reference=f"PAY-{number}", amount=paid, paid_on=today, **on)
    invoice_of(session, customer, number="INV-5", issued_on=today, due_on=today, status="void")
    session.commit()
    return customer


@pytest.mark.usefixtures("book")
def test_what_is_open_is_the_same_in_python_and_in_postgresql(session: Any) -> None:
    columns = (Invoice.open, Invoice.is_open, Invoice.open_after(paid_by_payments))
    found = session.execute(select(Invoice, *columns).order_by(Invoice.number)).all()
    assert len(found) == 5
    for invoice, still_open, is_open, by_payments in found:
        assert invoice.open == still_open == by_payments
        assert invoice.is_open is is_open
    posted = found[:4]
    assert [row.open for row in posted] == [1500 - paid for paid in PAID.values()]
    assert [row.is_open for row in found] == [True, True, False, False, False]


def test_it_is_what_the_screens_the_file_the_form_and_the_ageing_show(
    session: Any, book: Customer, sign_in: Callable[..., FlaskClient]
) -> None:
    finance = sign_in("finance")
    assert "Outstanding Rp 900.00" in words(finance.get("/billing/invoices/INV-2"))
    assert "Outstanding -Rp 200.00" in words(finance.get("/billing/invoices/INV-4"))
    assert "Outstanding Rp 0.00" in words(finance.get("/billing/invoices/INV-5"))
    lines = finance.get("/billing/invoices/export.csv").text.splitlines()
    place = lines[0].split(",").index("Outstanding")
    reported = sorted(Decimal(line.split(",")[place]) for line in lines[1:6])
    assert reported == [-200, 0, 0, 900, 1500]
    form = form_at(finance, "/billing/payments/new?customer=C-1&invoice=INV-2", "payment-form")
    assert form["amount"] == "900.00"
    own = meter(session)
    aged = session.execute(select(ageing_by_meter(periods.today()))).one()
    assert aged.total == own.net_balance == 2200


def test_the_net_balance_is_the_same_of_meters_and_customers_in_python_and_in_postgresql(
    session: Any, book: Customer
) -> None:
    for model in (Meter, Customer):
        for owner, net in session.execute(select(model, model.net_balance)):
            assert owner.net_balance == net == owner.balance - owner.overpayment
    own = meter(session)
    summary = summary_of(session, [own.id], Period())
    assert summary.closing == summary.total == own.net_balance == 2200
    assert summary.beyond == 0


@pytest.mark.usefixtures("book")
def test_the_usage_is_what_the_figure_says_on_the_page_and_in_the_form(
    sign_in: Callable[..., FlaskClient],
) -> None:
    finance = sign_in("finance")
    assert "12.5 × 100.00 1,250.00" in words(finance.get("/billing/invoices/INV-1"))
    page = finance.get("/billing/invoices/INV-1/edit")
    assert "1,250.00" in page.text
