"""Statements: the documents of some meters by day, with what was owed after each of them.

An invoice and a positive adjustment add to what is owed, a payment takes off it; what is void is in no
statement. The parts of one receipt are one document. The balance after the last document of all is the
sum of the meters' balances less their overpayments: for the meters that are actively assigned to a
customer, the customer's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    Text,
    and_,
    cast,
    func,
    literal,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from ..base import N_
from ..customers.models import Customer
from .models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment
from .rules import VOID

KINDS = {
    "invoice": N_("Invoice"),
    "adjustment": N_("Adjustment"),
    "payment": N_("Payment"),
}
"""What a document is, and its name on screen."""

TABLES = {
    "invoice": Invoice.__tablename__,
    "adjustment": MeterAdjustment.__tablename__,
    "payment": Payment.__tablename__,
}
"""What a document is → the table that holds it."""


@dataclass(frozen=True)
class Period:
    """Days from `since` to `until`, both included; None: open."""

    since: date | None = None
    until: date | None = None

    def holds(self, day: Any) -> ColumnElement[bool]:
        """Whether a day is in it."""
        return and_(
            true() if self.since is None else day >= self.since,
            true() if self.until is None else day <= self.until,
        )


@dataclass(frozen=True)
class Line:
    """One document of a statement. `amount` is below zero where it takes off what is owed.

    `note` is the reason of an adjustment, or the invoices that a payment names.
    """

    kind: str
    number: str
    day: date
    due_on: date | None
    meter: str
    note: str
    amount: Decimal
    balance: Decimal


@dataclass(frozen=True)
class Summary:
    """What a statement comes to; `total` is what all documents come to, whenever they are of."""

    opening: Decimal
    invoiced: Decimal
    adjusted: Decimal
    paid: Decimal
    count: int
    total: Decimal

    @property
    def closing(self) -> Decimal:
        """What is owed at the end of the period."""
        return self.opening + self.invoiced + self.adjusted - self.paid


def meters_of_customer(customer: Customer) -> Select[int]:
    """The meters whose documents make up the customer's statement: those actively assigned."""
    return select(MeterAssignment.meter_id).where(
        MeterAssignment.customer_id == customer.id, MeterAssignment.is_active
    )


def meter_alone(meter: Meter) -> Select[int]:
    """One meter."""
    return select(Meter.id).where(Meter.id == meter.id)


def running(meters: Select[int], period: Period) -> Subquery:
    """The documents in the period with their `position` among all, and the `balance` after each."""
    documents = _documents(meters)
    order = (documents.c.day, documents.c.rank, documents.c.id)
    counted = select(
        documents,
        func.row_number().over(order_by=order).label("position"),
        func.sum(documents.c.amount).over(order_by=order, rows=(None, 0)).label("balance"),
    ).subquery("counted")
    return select(counted).where(period.holds(counted.c.day)).subquery("running")


def lines_of(
    session: Session, meters: Select[int], period: Period, *, limit: int, offset: int = 0
) -> Sequence[Line]:
    """The documents in the period in their order, from `offset` on."""
    rows = running(meters, period)
    names = ("kind", "number", "day", "due_on", "meter", "note", "amount", "balance")
    found = session.execute(
        select(*(rows.c[name] for name in names))
        .order_by(rows.c.position)
        .limit(limit)
        .offset(offset)
    )
    return [Line(**row._mapping) for row in found]


def summary_of(session: Session, meters: Select[int], period: Period) -> Summary:
    """What the statement of the period comes to."""
    documents = _documents(meters)
    amount, kind, day = documents.c.amount, documents.c.kind, documents.c.day
    is_before = day < period.since if period.since else literal(False)
    is_in = period.holds(day)

    def sum_of(value: Any, *conditions: Any) -> ColumnElement[Any]:
        return func.coalesce(func.sum(value).filter(*conditions), 0)

    row = session.execute(
        select(
            sum_of(amount, is_before).label("opening"),
            sum_of(amount, is_in, kind == "invoice").label("invoiced"),
            sum_of(amount, is_in, kind == "adjustment").label("adjusted"),
            sum_of(-amount, is_in, kind == "payment").label("paid"),
            func.count().filter(is_in).label("count"),
            sum_of(amount, true()).label("total"),
        )
    ).one()
    return Summary(**row._mapping)


def _documents(meters: Select[int]) -> Subquery:
    """Every document of the meters that is not void."""
    return union_all(_invoices(meters), _adjustments(meters), _payments(meters)).subquery(
        "documents"
    )


def _invoices(meters: Select[int]) -> Select[Any]:
    return _of(
        meters, Invoice, "invoice", 0,
        id=Invoice.id, number=Invoice.number, day=Invoice.issued_on, due_on=Invoice.due_on,
        meter=Meter.number, note=literal(""), amount=Invoice.amount,
    )  # fmt: skip


def _adjustments(meters: Select[int]) -> Select[Any]:
    own = MeterAdjustment
    return _of(
        meters, own, "adjustment", 1,
        id=own.id, number=own.number, day=own.adjusted_on, due_on=cast(null(), own.adjusted_on.type),
        meter=Meter.number, note=own.reason, amount=own.amount,
    )  # fmt: skip


def _payments(meters: Select[int]) -> Select[Any]:
    """Each receipt once, whatever parts it has on these meters."""
    named = func.string_agg(Invoice.number, aggregate_order_by(literal(", "), Payment.part))
    numbers = func.string_agg(Meter.number.distinct(), literal(", "))
    parts = _of(
        meters, Payment, "payment", 2,
        id=func.min(Payment.id), number=Payment.reference, day=Payment.paid_on,
        due_on=cast(null(), Payment.paid_on.type), meter=numbers,
        note=func.coalesce(named, ""), amount=-func.sum(Payment.amount),
    )  # fmt: skip
    return parts.outerjoin(Invoice, Invoice.id == Payment.invoice_id).group_by(
        Payment.reference, Payment.paid_on
    )


def _of(meters: Select[int], model: Any, kind: str, rank: int, **columns: Any) -> Select[Any]:
    """The documents of one kind on the meters. On one day, what is owed stands before what is paid."""
    return (
        select(
            literal(kind, Text).label("kind"),
            literal(rank).label("rank"),
            *(value.label(name) for name, value in columns.items()),
        )
        .select_from(model)
        .join(Meter, Meter.id == model.meter_id)
        .where(model.meter_id.in_(meters), model.status != VOID)
    )


@dataclass(frozen=True)
class Uncounted:
    """Documents of a customer that name no meter, the newest of them, and how many there are."""

    invoices: Sequence[Invoice]
    payments: Sequence[Payment]
    invoice_count: int
    payment_count: int


def not_counted_yet(session: Session, customer: Customer, *, limit: int) -> Uncounted:
    """What the customer has that counts in no balance, because nobody has said for which meter it is."""

    def found(model: Any, day: Any) -> tuple[Sequence[Any], int]:
        without = (
            model.customer_id == customer.id, model.meter_id.is_(None), model.status != VOID
        )  # fmt: skip
        newest = select(model).where(*without).order_by(day.desc(), model.id.desc()).limit(limit)
        count = select(func.count()).select_from(model).where(*without)
        return session.scalars(newest).all(), session.scalar(count) or 0

    invoices, invoice_count = found(Invoice, Invoice.issued_on)
    payments, payment_count = found(Payment, Payment.paid_on)
    return Uncounted(invoices, payments, invoice_count, payment_count)
