"""Reads of payments: a receipt, and what its customer can pay. The list: `payment_listing.py`."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, joinedload

from .models import Invoice, Meter, MeterAssignment, Payment
from .rules import POSTED

MOST_OFFERED = 100
"""Open invoices that a payment is allocated to by hand; of more than that these are the oldest."""


def receipt_of(session: Session, reference: str) -> Sequence[Payment]:
    """The parts of the receipt by their numbers, each with its customer, its meter and its invoice."""
    return session.scalars(
        select(Payment)
        .where(Payment.reference == reference)
        .order_by(Payment.part)
        .options(
            joinedload(Payment.customer),
            joinedload(Payment.meter),
            joinedload(Payment.invoice).joinedload(Invoice.meter),
        )
    ).all()


def payable_invoices(
    session: Session, customer_id: int, also: Collection[int] = (), limit: int = MOST_OFFERED
) -> list[Invoice]:
    """What the customer can pay: what is open on its meters now, and its own invoices wherever they are.

    The oldest due first; `also` are there even where nothing of them is open any more.
    """
    is_open = Invoice.paid < Invoice.amount
    theirs = or_(Invoice.customer_id == customer_id, Invoice.meter_id.in_(_meters(customer_id)))
    return list(
        session.scalars(
            select(Invoice)
            .where(
                Invoice.status == POSTED,
                Invoice.meter_id.is_not(None),
                or_(is_open & theirs, Invoice.id.in_(also)) if also else is_open & theirs,
            )
            .order_by(Invoice.due_on, Invoice.issued_on, Invoice.id)
            .limit(limit)
            .options(joinedload(Invoice.meter), joinedload(Invoice.customer))
        )
    )


def meters_by_newest_invoice(session: Session, customer_id: int) -> list[Meter]:
    """The customer's active meters, the one with the newest invoice first."""
    newest = (
        select(func.max(Invoice.issued_on))
        .where(Invoice.meter_id == Meter.id, Invoice.status == POSTED)
        .correlate(Meter)
        .scalar_subquery()
    )
    return list(
        session.scalars(
            select(Meter)
            .where(Meter.id.in_(_meters(customer_id)))
            .order_by(newest.desc().nulls_last(), Meter.number)
        )
    )


def _meters(customer_id: int) -> Select[Any]:
    given = MeterAssignment
    actively = (given.customer_id == customer_id) & given.is_active
    return select(given.meter_id).where(actively)
