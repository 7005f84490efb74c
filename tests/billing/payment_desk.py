"""The payments of Alfreds for the tests of their screens: the form, and what is stored."""

from datetime import date
from decimal import Decimal

from sqlalchemy import select

from backoffice.billing.models import Invoice, Payment
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, MeterFactory
from tests.factories.customers import CustomerFactory
from tests.targets.pages import fields_of

NEW = "/billing/payments/new"


def alfreds(session):
    """Alfreds, with three open invoices of 100.00 on meter M-A, and meter M-B without any."""
    customer = CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    meter = MeterFactory(number="M-A")
    MeterAssignmentFactory(customer=customer, meter=meter)
    MeterAssignmentFactory(customer=customer, meter=MeterFactory(number="M-B"))
    for month in (1, 2, 3):
        InvoiceFactory(
            number=f"INV-000{month}", customer=customer, meter=meter, units=None, rate=None,
            fixed_charge=0, amount=Decimal(100),
            issued_on=date(2026, month, 1), due_on=date(2026, month, 20),
        )  # fmt: skip
    session.commit()
    return customer


def oldest_first(session):
    """Ids of the invoices, the oldest first."""
    return list(session.scalars(select(Invoice.id).order_by(Invoice.due_on)))


def opened(browser, path=f"{NEW}?customer=ALFKI"):
    return fields_of(browser.get(path).text, "payment-form")


def typed(browser, **fields):
    """The new-payment form for Alfreds with these fields typed into it, and shown for them."""
    form = opened(browser)
    for name, text in fields.items():
        form[name] = text
    return form


def stored(session):
    session.rollback()
    rows = session.scalars(select(Payment).order_by(Payment.reference, Payment.part))
    return [(p.reference, p.part, p.invoice_id, p.meter and p.meter.number, p.amount) for p in rows]
