"""Invoices of Wanjiru's meter, for the tests of their actions."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from backoffice.billing.invoices.charges import Charges
from backoffice.billing.invoices.records import INVOICE
from backoffice.billing.models import Invoice, Meter, Payment
from backoffice.customers.models import Customer
from backoffice.records import actions
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


def entry(of: Meter, /, charges: Charges = USAGE, **changes: Any) -> dict[str, Any]:
    given = {
        "number": "INV-1",
        "customer": owner(of).id,
        "meter": of.id,
        "issued_on": date(2026, 3, 1),
        "due_on": date(2026, 3, 31),
    }
    return {**given, **charges.values(), **changes}


def enter(session: Any, made: dict[str, Any]) -> Invoice:
    invoice: Invoice = actions.create(session, INVOICE, made)
    return invoice


def change(session: Any, invoice_id: int, made: dict[str, Any], version: int) -> Invoice:
    invoice: Invoice = actions.update(session, INVOICE, invoice_id, made, version)
    return invoice


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


def problems(session: Any, made: dict[str, Any]) -> dict[str, type]:
    with pytest.raises(actions.Impossible) as refused:
        enter(session, made)
    return {name: type(problem) for name, problem in refused.value.problems.items()}
