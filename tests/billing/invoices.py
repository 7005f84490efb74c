"""Invoices of Wanjiru's meter, as the tests of what can be done to them make them."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from backoffice.billing.invoices import actions
from backoffice.billing.invoices.entries import Charges, InvoiceEntry
from backoffice.billing.invoices.refusals import InvoiceRefused
from backoffice.billing.models import Invoice, Meter, Payment
from backoffice.customers.models import Customer
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory

USAGE = Charges(units=Decimal("12.5"), rate=Decimal(100), fixed_charge=Decimal(250))


def wanjirus_meter(session: Any) -> Meter:
    """Meter M-1 of Wanjiru."""
    customer = CustomerFactory(code="C-1", name="Wanjiru")
    made = MeterAssignmentFactory(meter=MeterFactory(number="M-1"), customer=customer).meter
    session.commit()
    return made


def owner(meter: Meter) -> Customer:
    return meter.assignments[0].customer


def entry(meter: Meter, **changes: Any) -> InvoiceEntry:
    given = {
        "number": "INV-1",
        "customer_id": owner(meter).id,
        "meter_id": meter.id,
        "issued_on": date(2026, 3, 1),
        "due_on": date(2026, 3, 31),
        "charges": USAGE,
    }
    return InvoiceEntry(**given | changes)


def invoice_on(meter: Meter, **changes: Any) -> Invoice:
    return InvoiceFactory(meter=meter, customer=owner(meter), **changes)


def paid(invoice: Invoice, amount: Any, **changes: Any) -> Payment:
    return PaymentFactory(
        invoice=invoice,
        meter=invoice.meter,
        customer=invoice.customer,
        amount=Decimal(amount),
        **changes,
    )


def balances(session: Any, *owners: Any) -> list[tuple[Decimal, Decimal]]:
    """Balance and overpayment of each, as stored."""
    session.commit()
    for one in owners:
        session.refresh(one)
    return [(one.balance, one.overpayment) for one in owners]


def problems(session: Any, made: InvoiceEntry) -> dict[str, type]:
    with pytest.raises(InvoiceRefused) as refused:
        actions.create(session, made)
    return {name: type(problem) for name, problem in refused.value.problems.items()}
