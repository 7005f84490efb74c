"""Billing's figures: invoice amounts, the sums of a meter's documents, the balances of meters and customers.

The sums are maintained by increments, so that a payment costs the same on a meter with a dozen
documents and with ten thousand; the balances, which are not sums, build on them.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, select

from ..base import N_
from ..base.money import rounded
from ..customers.models import Customer
from ..figures import amounts, check, figure, total
from .models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment
from .rules import VOID, charged_of, owed_of


def _sum(amount: Any, by: Any, status: Any) -> ColumnElement[Any]:
    """The sum of the amounts that refer to this row and are not void."""
    return func.coalesce(total(amount, by=by, where=status != VOID), 0)


usage = rounded(Invoice.units * Invoice.rate)
"""Units × rate of an invoice, without the fixed charge."""

invoice_amount = figure(
    Invoice.amount,
    case((Invoice.units.is_(None), Invoice.amount), else_=usage + Invoice.fixed_charge),
    title=N_("Invoice amount"),
    entered={Invoice.amount: Invoice.units.is_(None)},
    formula=N_(
        "Units × Rate, rounded half away from zero to the currency's smallest unit, + Fixed charge"
    ),
)

invoice_paid = figure(
    Invoice.paid,
    _sum(Payment.amount, Payment.invoice_id, Payment.status),
    title=N_("Paid on the invoice"),
    formula=N_("The payments that name the invoice and are not void"),
)

meter_totals = figure(
    {
        Meter.invoiced: _sum(Invoice.amount, Invoice.meter_id, Invoice.status),
        Meter.adjusted: _sum(
            MeterAdjustment.amount, MeterAdjustment.meter_id, MeterAdjustment.status
        ),
        Meter.paid: _sum(Payment.amount, Payment.meter_id, Payment.status),
    },
    name="meters.documents",
    leading=Meter.invoiced,
    title=N_("Documents of the meter"),
    incremental=True,
    formula=N_("The invoices, adjustments and payments of the meter that are not void"),
    formulas={
        Meter.invoiced: N_("The invoices of the meter that are not void"),
        Meter.adjusted: N_("The adjustments of the meter that are not void"),
        Meter.paid: N_("The payments on the meter that are not void"),
    },
)

_charged = charged_of(Meter.invoiced, Meter.adjusted)

owed = owed_of(Meter.invoiced, Meter.adjusted, Meter.paid)
"""The net of all documents of a meter; below zero where more was paid than is owed."""

meter_balance = figure(
    {
        Meter.balance: func.greatest(owed, literal(0), type_=Meter.balance.type),
        Meter.overpayment: func.greatest(
            Meter.paid - _charged, literal(0), type_=Meter.balance.type
        ),
    },
    name="meters.balance",
    leading=Meter.balance,
    title=N_("Meter balance"),
    formula=N_(
        "Invoiced + Adjustments − Paid: what is above zero is the balance, what is below is the overpayment"
    ),
    formulas={
        Meter.balance: N_("Invoiced + Adjustments − Paid, where that is above zero; else nothing"),
        Meter.overpayment: N_(
            "Paid − Invoiced − Adjustments, where that is above zero; else nothing"
        ),
    },
)


@figure(
    name="customers.balance",
    title=N_("Customer balance"),
    columns=(Customer.balance, Customer.overpayment),
    leading=Customer.balance,
    reached_by={Meter: MeterAssignment.meter_id},
    formula=N_("The balances and the overpayments of the meters that are actively assigned"),
    formulas={
        Customer.balance: N_("The balances of the meters that are actively assigned"),
        Customer.overpayment: N_("The overpayments of the meters that are actively assigned"),
    },
)
def customer_balance(assignments: Any = MeterAssignment, meters: Any = Meter) -> Select[Any]:
    """The sums over active assignments; a customer without any owes nothing."""
    return (
        select(
            assignments.c.customer_id.label("id"),
            func.sum(meters.c.balance).label("balance"),
            func.sum(meters.c.overpayment).label("overpayment"),
        )
        .join_from(assignments, meters, meters.c.id == assignments.c.meter_id)
        .where(assignments.c.is_active)
        .group_by(assignments.c.customer_id)
    )


BILLING_FIGURES = (invoice_amount, invoice_paid, meter_totals, meter_balance, customer_balance)
"""All stored derived amounts of billing, each after those it builds on."""

RECALCULATED = (meter_totals, meter_balance, customer_balance)
"""The figures that a recalculation of a customer covers, each after those it builds on."""

_counts = Payment.status != VOID
_BALANCE, _OVERPAYMENT = N_("Balance"), N_("Overpayment")

payments_placed = check(
    "payments.placed",
    title=N_("What payments are placed on, and the payments"),
    left=amounts(N_("Paid on the invoice"), select(Invoice.paid))
    + amounts(
        N_("Payments on no invoice"),
        select(Payment.amount).where(_counts, Payment.invoice_id.is_(None)),
    ),
    right=amounts(N_("Payments"), select(Payment.amount).where(_counts)),
)


def _documents(document: Any) -> Select[Any]:
    """The amounts of documents that count on a meter."""
    return select(document.amount).where(document.status != VOID, document.meter_id.is_not(None))


balances_documented = check(
    "meters.balances",
    title=N_("Balances of meters, and their documents"),
    left=amounts(N_("Balances of meters"), select(Meter.balance))
    - amounts(N_("Overpayments of meters"), select(Meter.overpayment)),
    right=amounts(N_("Invoices"), _documents(Invoice))
    + amounts(N_("Adjustments"), _documents(MeterAdjustment))
    - amounts(N_("Payments"), _documents(Payment)),
)


def _of_assigned(title: str, column: Any) -> Select[Any]:
    """A column of the meters that are actively assigned."""
    assigned = select(MeterAssignment.meter_id).where(MeterAssignment.is_active)
    return select(literal(title), column).where(Meter.id.in_(assigned))


customers_owe = check(
    "customers.balances",
    title=N_("Balances of customers, and of their meters"),
    left=amounts(N_("Balances of customers"), select(literal(_BALANCE), Customer.balance))
    - amounts(N_("Overpayments of customers"), select(literal(_OVERPAYMENT), Customer.overpayment)),
    right=amounts(N_("Balances of meters"), _of_assigned(_BALANCE, Meter.balance))
    - amounts(N_("Overpayments of meters"), _of_assigned(_OVERPAYMENT, Meter.overpayment)),
)
