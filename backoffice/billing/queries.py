"""Reads that several parts of billing share: meters, their owners on a day, and documents without a meter."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select, true
from sqlalchemy.orm import Session

from .models import Invoice, Meter, MeterAssignment, Payment
from .rules import VOID

paid_by_payments = (
    select(func.coalesce(func.sum(Payment.amount), 0))
    .where(Payment.invoice_id == Invoice.id, Payment.status != VOID)
    .correlate(Invoice)
    .scalar_subquery()
)
"""What has been paid on an invoice, by the payments themselves.

The stored figure may not yet include what another program has just written.
"""


def meter_of(session: Session, number: str) -> Meter | None:
    """The meter with this number."""
    return session.scalar(select(Meter).where(Meter.number == number))


def holder_on(session: Session, meter_id: int, day: date) -> int | None:
    """The id of the customer who had the meter on that day; None: none is known.

    Taken from the assignment that covers the day, else from the active one.
    """
    since = func.coalesce(MeterAssignment.assigned_from, date.min)
    until = func.coalesce(MeterAssignment.assigned_to, date.max)
    covers = (since <= day) & (until >= day)
    return session.scalar(
        select(MeterAssignment.customer_id)
        .where(MeterAssignment.meter_id == meter_id, covers | MeterAssignment.is_active)
        .order_by(covers.desc(), MeterAssignment.is_active.desc(), MeterAssignment.id.desc())
        .limit(1)
    )


def active_meters_of(session: Session, customer_id: int) -> list[Meter]:
    """The meters that are actively assigned to the customer: their balances make up the customer's."""
    return list(
        session.scalars(
            select(Meter)
            .join(MeterAssignment, MeterAssignment.meter_id == Meter.id)
            .where(MeterAssignment.customer_id == customer_id, MeterAssignment.is_active)
            .order_by(Meter.number)
        )
    )


def without_meter(document: type[Invoice | Payment]) -> ColumnElement[bool]:
    """The condition that a document is not void and has no meter."""
    return and_(document.meter_id.is_(None), document.status != VOID)


def waiting(session: Session, most: int) -> list[tuple[int, Decimal | None]]:
    """Payments and invoices without a meter, and meters with a balance and no customer, up to `most` of each kind.

    Their counts and totals, in one statement.
    """
    active = (MeterAssignment.meter_id == Meter.id) & MeterAssignment.is_active
    kinds: tuple[Select[Any], ...] = (
        select(Payment.amount).where(without_meter(Payment)),
        select(Invoice.amount).where(without_meter(Invoice)),
        select(Meter.balance.label("amount")).where(Meter.balance > 0, ~exists().where(active)),
    )
    counted = []
    for kind in kinds:
        found = kind.limit(most).subquery()
        counted.append(
            select(func.count().label("count"), func.sum(found.c.amount).label("amount"))
            .select_from(found)
            .subquery()
        )
    payments, invoices, meters = counted
    together = payments.join(invoices, true()).join(meters, true())
    numbers = session.execute(
        select(*(column for each in counted for column in each.c)).select_from(together)
    ).one()
    return [(numbers[at], numbers[at + 1]) for at in range(0, len(numbers), 2)]
