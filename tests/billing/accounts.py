"""An account with documents of every kind, for the tests of statements."""

from datetime import date
from typing import Any

from backoffice.billing.models import Meter
from backoffice.customers.models import Customer
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory


def wanjiru(session: Any) -> Customer:
    """Wanjiru with two meters, M-1 and M-2, and one that was hers once."""
    made = CustomerFactory(code="C-1", name="Wanjiru")
    for number, is_active in (("M-1", True), ("M-2", True), ("M-3", False)):
        MeterAssignmentFactory(
            meter=MeterFactory(number=number), customer=made, is_active=is_active
        )
    session.commit()
    return made


def meter(session: Any, number: str) -> Meter:
    return session.query(Meter).filter_by(number=number).one()


def documents(session: Any, customer: Customer) -> None:
    """An invoice of 1,500 and a receipt of 900 in two parts; a late fee and a goodwill on M-2; void ones."""
    first, second = meter(session, "M-1"), meter(session, "M-2")
    of = {"customer": customer}
    invoice = InvoiceFactory(number="INV-1", meter=first, issued_on=date(2026, 1, 10), **of)
    PaymentFactory(
        reference="PAY-1",
        part=1,
        invoice=invoice,
        meter=first,
        amount=600,
        paid_on=date(2026, 2, 1),
        **of,
    )
    PaymentFactory(
        reference="PAY-1", part=2, meter=second, amount=300, paid_on=date(2026, 2, 1), **of
    )
    MeterAdjustmentFactory(
        number="ADJ-1", meter=second, adjusted_on=date(2026, 2, 1), amount=100, **of
    )
    MeterAdjustmentFactory(
        number="ADJ-2",
        meter=second,
        adjusted_on=date(2026, 3, 1),
        amount=-40,
        reason="Goodwill",
        **of,
    )
    InvoiceFactory(number="INV-9", meter=first, status="void", void_reason="Twice", **of)
    PaymentFactory(reference="PAY-9", meter=first, status="void", void_reason="Bounced", **of)
    InvoiceFactory(number="INV-8", meter=meter(session, "M-3"), **of)
    session.commit()
