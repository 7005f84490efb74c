"""Reads of invoices: single invoices, their payments, and what the form proposes and asks."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import extract, func, select
from sqlalchemy.orm import Session, joinedload

from ..models import Invoice, Meter, MeterAssignment, Payment
from ..rules import VOID

MOST_NAMED = 5
"""How many invoices like the entered one are named."""


def invoice_of(session: Session, number: str) -> Invoice | None:
    """The invoice of that number, with its customer and its meter."""
    return session.scalars(
        select(Invoice)
        .where(Invoice.number == number)
        .options(joinedload(Invoice.customer), joinedload(Invoice.meter))
    ).one_or_none()


def meters_of(session: Session, customer_id: int) -> Sequence[Meter]:
    """The meters that are or were assigned to the customer; active assignments come first."""
    is_now = func.bool_or(MeterAssignment.is_active)
    return session.scalars(
        select(Meter)
        .join(MeterAssignment)
        .where(MeterAssignment.customer_id == customer_id)
        .group_by(Meter.id)
        .order_by(is_now.desc(), Meter.number)
    ).all()


def last_rates_of(session: Session, meter_id: int) -> tuple[Decimal, Decimal] | None:
    """Rate and fixed charge of the meter's latest invoice that has units and is not void."""
    has_rates = (
        (Invoice.meter_id == meter_id) & (Invoice.status != VOID) & Invoice.units.is_not(None)
    )
    found = session.execute(
        select(Invoice.rate, Invoice.fixed_charge)
        .where(has_rates)
        .order_by(Invoice.issued_on.desc(), Invoice.id.desc())
        .limit(1)
    ).first()
    return None if found is None else (found.rate, found.fixed_charge)


def invoices_like(
    session: Session, meter_id: int | None, amount: Decimal, day: date, besides: int
) -> Sequence[str]:
    """The numbers of posted invoices of the same meter, amount and month, but for the one with the id `besides`."""
    found = select(Invoice.number).where(
        Invoice.meter_id == meter_id,
        Invoice.amount == amount,
        Invoice.status != VOID,
        Invoice.id != besides,
        extract("year", Invoice.issued_on) == day.year,
        extract("month", Invoice.issued_on) == day.month,
    )
    return session.scalars(found.order_by(Invoice.number).limit(MOST_NAMED)).all()


def payments_of(session: Session, invoice: Invoice) -> Sequence[Payment]:
    """Every payment that names the invoice, the void ones too, by day."""
    return session.scalars(
        select(Payment)
        .where(Payment.invoice_id == invoice.id)
        .order_by(Payment.paid_on, Payment.id)
        .options(joinedload(Payment.meter))
    ).all()
