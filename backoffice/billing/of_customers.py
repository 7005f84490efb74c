"""Billing on the screens of customers, and when customers are deleted or merged."""

from collections.abc import Sequence
from typing import Any

from flask import url_for
from sqlalchemy import case, func, or_, select

from .. import lists
from ..app.extensions import db
from ..base import N_, counted
from ..base.business_days import business_day
from ..customers.models import Customer
from ..customers.owned_records import OwnedRecord
from ..drift.marks import marks
from ..lists import Column
from ..security.rights import allowed
from ..web.additions import Addition, Columns
from .figures import customer_balance
from .meters.listing import meters_of
from .meters.queries import figures_of
from .meters.wording import word_of
from .models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment
from .rules import VOID


def _of_meter(column: Any) -> Any:
    """A column of the assignment's meter."""
    of_it = select(column).where(Meter.id == MeterAssignment.meter_id)
    return of_it.correlate(MeterAssignment).scalar_subquery()


def _counted(document: Any, amount: Any) -> Any:
    """The amount, 0 if the document is void."""
    return case((document.status == VOID, 0), else_=amount)


MOST_LOOKED_AT = 100
"""The most meters of a customer that the customer's page verifies on each load."""

ASSIGNMENTS = OwnedRecord(
    "meter_assignments",
    N_("Meters"),
    counted("%(num)s meter", "%(num)s meters"),
    MeterAssignment,
    customer=MeterAssignment.customer_id,
    label=_of_meter(Meter.number),
    day=func.coalesce(MeterAssignment.assigned_from, business_day(MeterAssignment.created_at)),
    amount=case((MeterAssignment.is_active, _of_meter(Meter.net_balance)), else_=0),
    endpoint="meters.index",
)
"""The amount of an active assignment is its meter's net balance; its day is its first one."""

INVOICES = OwnedRecord(
    "invoices",
    N_("Invoices"),
    counted("%(num)s invoice", "%(num)s invoices"),
    Invoice,
    customer=Invoice.customer_id,
    label=Invoice.number,
    day=Invoice.issued_on,
    amount=_counted(Invoice, Invoice.amount),
    endpoint="invoices.index",
)

PAYMENTS = OwnedRecord(
    "payments",
    N_("Payments"),
    counted("%(num)s payment", "%(num)s payments"),
    Payment,
    customer=Payment.customer_id,
    label=Payment.reference,
    day=Payment.paid_on,
    amount=_counted(Payment, Payment.amount),
    endpoint="payments.index",
    once_per=Payment.reference,
)

ADJUSTMENTS = OwnedRecord(
    "meter_adjustments",
    N_("Adjustments"),
    counted("%(num)s adjustment", "%(num)s adjustments"),
    MeterAdjustment,
    customer=MeterAdjustment.customer_id,
    label=MeterAdjustment.number,
    day=MeterAdjustment.adjusted_on,
    amount=_counted(MeterAdjustment, MeterAdjustment.amount),
    endpoint="adjustments.index",
)


_MODELS: tuple[Any, ...] = (MeterAssignment, Invoice, Payment, MeterAdjustment)


def columns_of_customers(user: Any) -> Sequence[Column]:
    """The columns of each customer's balance and overpayment; none for users who may not read billing."""
    if not allowed(user, "billing.read"):
        return ()

    def amount(name: str) -> Column:
        column = getattr(Customer, name)
        return Column(
            name,
            column.info["label"],
            column,
            kind="money",
            total=True,
            link=lambda row: (
                url_for("billing.customer_calculation", code=row.code, name=name)
                if getattr(row, name)
                else None
            ),
            classes="cell-total",
        )

    return tuple(map(amount, ("balance", "overpayment")))


def _has_billing(customer: Customer) -> bool:
    """Whether any record of billing belongs to the customer."""
    theirs = (select(model.id).where(model.customer_id == customer.id) for model in _MODELS)
    return bool(db.session.scalar(select(or_(*(ids.exists() for ids in theirs)))))


def _part(customer: Customer, user: Any, _number: int) -> dict[str, Any] | None:
    if not allowed(user, "billing.read") or not _has_billing(customer):
        return None
    own = {"endpoint": "customers.record", "code": customer.code}
    active = select(MeterAssignment.meter_id).where(
        MeterAssignment.customer_id == customer.id, MeterAssignment.is_active
    )
    meters = db.session.scalars(active.limit(MOST_LOOKED_AT)).all()
    known = marks({customer_balance: [customer.id], **figures_of(meters)})
    listing = lists.part(meters_of(customer), **own)
    return {"listing": listing, "word": word_of(customer), "marks": known}


PARTS = (Addition(Customer, "billing/of_customer.html", _part),)
COLUMNS = (Columns(Customer, columns_of_customers),)
OWNED = (ASSIGNMENTS, INVOICES, PAYMENTS, ADJUSTMENTS)
