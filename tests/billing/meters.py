"""Short constructors of meters and customers with balances; and what must be stored, by plain arithmetic."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg

from backoffice.billing.models import Meter, MeterAssignment
from backoffice.customers.models import Customer
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)

ZERO = Decimal("0.00")

Owed = tuple[Decimal, Decimal]
"""Balance and overpayment."""


def meter_of(
    customer: Customer | None, number: str, owed: int = 0, paid: int = 0, **facts: Any
) -> MeterAssignment | Meter:
    """A meter with an invoice of `owed` and a payment of `paid`; its assignment if it is a customer's."""
    meter = MeterFactory(number=number)
    for_customer = {"customer": customer} if customer else {}
    if owed:
        InvoiceFactory(
            number=f"INV-{number}", meter=meter, units=None, rate=None, amount=owed, **for_customer
        )
    if paid:
        PaymentFactory(reference=f"PAY-{number}", meter=meter, amount=paid, **for_customer)
    if customer is None:
        return meter
    return MeterAssignmentFactory(meter=meter, customer=customer, **facts)


def owed_by(outside: psycopg.Connection[Any], code: str) -> tuple[int, int]:
    """Balance and overpayment that are stored of a customer, in whole units."""
    row = outside.execute(
        "SELECT balance, overpayment FROM customers WHERE code = %s", [code]
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def must_be_stored(outside: psycopg.Connection[Any]) -> dict[str, Owed]:
    """What every customer must have stored, computed from the facts alone."""
    signed: dict[int, Decimal] = {}
    for table, sign in (("invoices", 1), ("meter_adjustments", 1), ("payments", -1)):
        rows = outside.execute(
            f"SELECT meter_id, amount FROM {table} WHERE meter_id IS NOT NULL AND status = 'posted'".encode()
        )
        for meter, amount in rows:
            signed[meter] = signed.get(meter, ZERO) + sign * amount
    owed: dict[str, Owed] = {}
    for code, meters in outside.execute(
        "SELECT c.code, array_agg(a.meter_id) FILTER (WHERE a.is_active) "
        "FROM customers c LEFT JOIN meter_assignments a ON a.customer_id = c.id GROUP BY 1"
    ):
        nets = [signed.get(meter, ZERO) for meter in meters or ()]
        owed[code] = (
            sum((net for net in nets if net > 0), ZERO),
            sum((-net for net in nets if net < 0), ZERO),
        )
    return owed


def stored(outside: psycopg.Connection[Any]) -> dict[str, Owed]:
    """What every customer has stored."""
    rows = outside.execute("SELECT code, balance, overpayment FROM customers")
    return {code: (balance, overpayment) for code, balance, overpayment in rows}


def assignments(
    outside: psycopg.Connection[Any], number: str
) -> Sequence[tuple[str, date | None, date | None, bool]]:
    """The stored assignments of a meter: customer code, days and whether active, in the order of entry."""
    return outside.execute(
        "SELECT c.code, a.assigned_from, a.assigned_to, a.is_active FROM meter_assignments a "
        "JOIN meters m ON m.id = a.meter_id JOIN customers c ON c.id = a.customer_id "
        "WHERE m.number = %s ORDER BY a.id",
        [number],
    ).fetchall()
