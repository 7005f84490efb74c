"""A small book for imports of invoices and payments, and reads of its records."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from backoffice.billing.models import Invoice, Meter, Payment
from backoffice.billing.payments import actions as payment_actions
from backoffice.billing.payments.allocation import Part
from backoffice.customers.models import Customer
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, MeterFactory
from tests.factories.customers import CustomerFactory

INVOICES = "number,customer_code,meter_number,issued_on,due_on,amount"
UNITS = f"{INVOICES},units,rate,fixed_charge"
PAYMENTS = "reference,customer_code,meter_number,invoice_number,paid_on,amount"
DAYS = "2026-03-01,2026-03-31"


def book(session: Any) -> None:
    """Customers A, with the meters M-1 and M-2, and B; on M-1 an invoice of 1,500.00, entered as a whole."""
    a = CustomerFactory(code="A")
    CustomerFactory(code="B")
    for number in ("M-1", "M-2"):
        MeterAssignmentFactory(meter=MeterFactory(number=number), customer=a)
    InvoiceFactory(
        number="INV-1", customer=a, meter=meter(session, "M-1"), amount=Decimal(1500),
        units=None, rate=None, fixed_charge=0,
    )  # fmt: skip
    session.commit()


def meter(session: Any, number: str) -> Meter:
    found: Meter = session.scalars(select(Meter).where(Meter.number == number)).one()
    return found


def invoice(session: Any, number: str = "INV-1") -> Invoice:
    """As it is stored now."""
    session.rollback()
    session.expire_all()
    found: Invoice = session.scalars(select(Invoice).where(Invoice.number == number)).one()
    return found


def parts(session: Any, reference: str) -> list[Payment]:
    """The receipt as it is stored now."""
    session.rollback()
    session.expire_all()
    return payment_actions.parts_in(session, reference)


def reported(session: Any, reference: str) -> list[tuple[str, str, str | None, str | None]]:
    """Of each part of the receipt its status, its amount, its meter and its invoice."""
    return [
        (
            part.status,
            str(part.amount),
            part.meter and part.meter.number,
            part.invoice and part.invoice.number,
        )
        for part in parts(session, reference)
    ]


def entry(
    session: Any, reference: str, *amounts: int, **facts: Any
) -> payment_actions.ReceiptEntry:
    """A receipt of A: the first amount on INV-1, the rest on its meter."""
    found = session.scalars(select(Invoice).where(Invoice.number == "INV-1")).one()
    first, *others = map(Decimal, amounts)
    rests = (Part(amount, meter_id=found.meter_id) for amount in others)
    return payment_actions.ReceiptEntry(
        customer_id=session.scalars(select(Customer.id).where(Customer.code == "A")).one(),
        paid_on=facts.get("paid_on", date(2026, 3, 5)),
        amount=Decimal(sum(amounts)),
        method="transfer",
        parts=(Part(first, invoice_id=found.id), *rests),
        reference=reference,
    )


def voided(session: Any, reference: str) -> None:
    """Make the receipt void, as on screen."""
    first, *_ = stored = parts(session, reference)
    payment_actions.void(session(), first.id, payment_actions.version_of(stored), "Wrong")


def replaced(session: Any, reference: str, new: payment_actions.ReceiptEntry) -> None:
    """Void and record anew, as on screen; committed."""
    first, *_ = stored = parts(session, reference)
    version = payment_actions.version_of(stored)
    payment_actions.replace_receipt(session(), first.id, version, "A zero too many", new)
    session.commit()
