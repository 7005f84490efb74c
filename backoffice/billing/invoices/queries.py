"""Reads of invoices: one with what belongs to it, and what its form offers. The list: `invoice_listing.py`."""

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session, joinedload

from ..models import Invoice, Meter, MeterAssignment, Payment
from ..rules import VOID


def invoice_of(session: Session, number: str) -> Invoice | None:
    """The invoice of that number, with its customer and its meter."""
    return session.scalars(
        select(Invoice)
        .where(Invoice.number == number)
        .options(joinedload(Invoice.customer), joinedload(Invoice.meter))
    ).one_or_none()


def number_is_taken(session: Session, number: str, besides: int | None) -> bool:
    """Whether another invoice than `besides` has that number."""
    other = true() if besides is None else Invoice.id != besides
    return session.scalar(select(Invoice.id).where(Invoice.number == number, other)) is not None


def meters_of(session: Session, customer_id: int) -> Sequence[Meter]:
    """The meters that are or were the customer's; those that are now come first."""
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


def payments_of(session: Session, invoice: Invoice) -> Sequence[Payment]:
    """Every payment that names the invoice, the void ones too, by day."""
    return session.scalars(
        select(Payment)
        .where(Payment.invoice_id == invoice.id)
        .order_by(Payment.paid_on, Payment.id)
        .options(joinedload(Payment.meter))
    ).all()


def offered_meters(session: Session, text: str, limit: int = 20) -> Sequence[Meter]:
    """Meters whose number holds the text, for choosing one of them all."""
    statement = select(Meter).order_by(Meter.number).limit(limit)
    if text:
        statement = statement.where(Meter.number.icontains(text, autoescape=True))
    return session.scalars(statement).all()
