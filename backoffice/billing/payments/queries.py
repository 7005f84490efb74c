"""Reads of payments: totals, replacements, and the invoices that a customer can pay."""

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, case, exists, func, or_, select, true
from sqlalchemy.orm import Session, aliased, joinedload

from ..models import Invoice, Meter, MeterAssignment, Payment
from ..rules import POSTED

MOST_OFFERED = 100
"""The most open invoices that a sheet shows; of more the oldest."""


def receipt_total(
    fits: Callable[[Any], ColumnElement[bool]] | None = None,
) -> ColumnElement[Decimal]:
    """The total of a receipt's parts, or of those that fit, as a column beside its first part.

    Few receipts have further parts, which have an index of their own.
    """
    part = aliased(Payment)
    further = (
        select(func.sum(part.amount))
        .where(part.reference == Payment.reference, part.part > 1, fits(part) if fits else true())
        .correlate(Payment)
        .scalar_subquery()
    )
    first = case((fits(Payment), Payment.amount), else_=0) if fits else Payment.amount
    return first + func.coalesce(further, 0)


def replaced_by(session: Session, receipt: Payment) -> str | None:
    """The reference of the receipt that replaced this void one."""
    return session.scalar(select(Payment.reference).where(Payment.replaces_id == receipt.id))


def replaced_of(session: Session, receipt: Payment) -> str | None:
    """The reference of the void receipt that this one replaced."""
    return session.scalar(select(Payment.reference).where(Payment.id == receipt.replaces_id))


def payable_invoices(
    session: Session,
    customer_id: int,
    chosen: Collection[int] = (),
    *,
    own: Collection[int] = (),
    limit: int = MOST_OFFERED,
) -> list[Invoice]:
    """The invoices that the customer can pay: open ones on their active meters, and their own on any meter.

    `chosen` ones are included even when paid, and `own`, on which the moved payment already is, of any
    customer. Those come first, then the earliest due.
    """
    theirs = _is_payable_by(customer_id)
    named = [*chosen, *own]
    wanted = theirs & (or_(Invoice.is_open, Invoice.id.in_(chosen)) if chosen else Invoice.is_open)
    first = [Invoice.id.in_(named).desc()] if named else []
    return list(
        session.scalars(
            select(Invoice)
            .where(
                Invoice.status == POSTED,
                Invoice.meter_id.is_not(None),
                or_(wanted, Invoice.id.in_(own)) if own else wanted,
            )
            .order_by(*first, Invoice.due_on, Invoice.issued_on, Invoice.id)
            .limit(limit)
            .options(joinedload(Invoice.meter), joinedload(Invoice.customer))
        )
    )


def of_another_customer(
    session: Session, customer_id: int, invoice_ids: Collection[int]
) -> list[str]:
    """The numbers of those of these invoices that the customer cannot pay."""
    if not invoice_ids:
        return []
    others = select(Invoice.number).where(Invoice.id.in_(invoice_ids), ~_is_payable_by(customer_id))
    return list(session.scalars(others.order_by(Invoice.number)))


def was_ever_theirs(session: Session, customer_id: int, meter_id: int) -> bool:
    """Whether the meter is or was assigned to the customer, or an invoice of theirs is on it."""
    given = exists().where(
        MeterAssignment.meter_id == meter_id, MeterAssignment.customer_id == customer_id
    )
    invoiced = exists().where(Invoice.meter_id == meter_id, Invoice.customer_id == customer_id)
    return bool(session.scalar(select(or_(given, invoiced))))


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


def _is_payable_by(customer_id: int) -> ColumnElement[bool]:
    on_theirs = Invoice.meter_id.in_(_meters(customer_id))
    return or_(Invoice.customer_id == customer_id, on_theirs & Invoice.meter_id.is_not(None))


def _meters(customer_id: int) -> Select[Any]:
    given = MeterAssignment
    actively = (given.customer_id == customer_id) & given.is_active
    return select(given.meter_id).where(actively)
