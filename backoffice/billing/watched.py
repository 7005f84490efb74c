"""Billing for drift detection: names and links of its records, and which figures are recalculated together."""

from collections.abc import Callable, Sequence
from typing import Any

from flask import url_for
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from ..customers.models import Customer
from ..drift.recalculation import Owners, OwnersOf
from ..security.rights import allowed
from ..web.record_links import Place, Subject
from .figures import customer_balance, invoice_amount, invoice_paid, meter_balance, meter_totals
from .models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment


def _name_in(column: Any, key: Any) -> Any:
    return lambda owner, _key: select(column).where(key == owner).scalar_subquery()


def _meter_number(owner: Any, _key: Any) -> Any:
    numbered = select(Meter.number).join(MeterAssignment, MeterAssignment.meter_id == Meter.id)
    return numbered.where(MeterAssignment.id == owner).scalar_subquery()


def _owner_named(column: Any, key: Any) -> Any:
    return lambda text: select(key).where(column == text)


def _meter(place: Place) -> str:
    return url_for("meters.record", number=place.name)


def _payment(place: Place) -> str:
    return url_for("payments.record", reference=place.name)


def _adjustment(place: Place) -> str:
    return url_for("adjustments.record", number=place.name)


def _shown_at(record: Callable[[Place], str]) -> Callable[[Place, str], str]:
    return lambda place, _column: record(place)


def _customer(place: Place) -> str:
    return url_for("customers.record", code=place.name)


def _calculation_of_customer(place: Place, column: str) -> str:
    return url_for("billing.customer_calculation", code=place.name, name=column)


def _owners(
    session: Session, invoices: Select[Any], meters: Sequence[int], customers: Sequence[int]
) -> Owners:
    """The owners of all figures of these invoices, meters and customers, by figure."""
    ids = list(session.scalars(invoices.with_only_columns(Invoice.id).order_by(Invoice.id)))
    owners = {
        invoice_amount: ids,
        invoice_paid: ids,
        meter_totals: meters,
        meter_balance: meters,
        customer_balance: customers,
    }
    return {figure.name: owned for figure, owned in owners.items() if owned}


def _of_meter(session: Session, user: Any, meter_id: int) -> Owners | None:
    if not allowed(user, "billing.read") or session.get(Meter, meter_id) is None:
        return None
    active = select(MeterAssignment.customer_id).where(
        MeterAssignment.meter_id == meter_id, MeterAssignment.is_active
    )
    invoices = select(Invoice).where(Invoice.meter_id == meter_id)
    return _owners(session, invoices, [meter_id], list(session.scalars(active)))


def _of_customer(session: Session, user: Any, customer_id: int) -> Owners | None:
    customer = session.get(Customer, customer_id) if allowed(user, "billing.read") else None
    if customer is None:
        return None
    assigned = select(MeterAssignment.meter_id).where(MeterAssignment.customer_id == customer_id)
    meters = list(session.scalars(assigned.distinct().order_by(MeterAssignment.meter_id)))
    of_them = or_(Invoice.meter_id.in_(meters), Invoice.customer_id == customer_id)
    is_concerned = meters or customer.balance or customer.overpayment
    return _owners(
        session, select(Invoice).where(of_them), meters, [customer_id] if is_concerned else []
    )


SUBJECTS = tuple(
    Subject(
        model.__tablename__,
        _name_in(column, model.id), record, calculation, _owner_named(column, model.id),
    )
    for model, column, record, calculation in (
        (Customer, Customer.code, _customer, _calculation_of_customer),
    )
)  # fmt: skip

OTHER_SUBJECTS = tuple(
    Subject(model.__tablename__, name, record, _shown_at(record))
    for model, name, record in (
        (Payment, _name_in(Payment.reference, Payment.id), _payment),
        (MeterAdjustment, _name_in(MeterAdjustment.number, MeterAdjustment.id), _adjustment),
        (MeterAssignment, _meter_number, _meter),
    )
)
"""Records that the migration reports on and that hold no figures."""

OWNERS = (OwnersOf("meter", _of_meter), OwnersOf("customer", _of_customer))
