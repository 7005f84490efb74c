"""Statements: the documents of some meters by day, with the running balance after each.

Invoices and positive adjustments add to the balance, payments reduce it; void documents are left out.
The parts of one receipt are one document. The balance after the very last document is the sum of the
meters' balances less their overpayments: for the meters that are actively assigned to a customer, the
customer's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    TableValuedAlias,
    Text,
    and_,
    any_,
    cast,
    func,
    literal,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by, array
from sqlalchemy.orm import Session

from ...base import N_
from ...customers.models import Customer
from ..models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment
from ..rules import VOID, owed_of

KINDS = {
    "invoice": N_("Invoice"),
    "adjustment": N_("Adjustment"),
    "payment": N_("Payment"),
}
"""Kind of document → its name on screen."""

TABLES = {
    "invoice": Invoice.__tablename__,
    "adjustment": MeterAdjustment.__tablename__,
    "payment": Payment.__tablename__,
}
"""Kind of document → its table."""


@dataclass(frozen=True)
class Period:
    """Days from `since` to `until`, both included; None: open."""

    since: date | None = None
    until: date | None = None

    def holds(self, day: Any) -> ColumnElement[bool]:
        """The condition that a day is in the period."""
        return and_(
            true() if self.since is None else day >= self.since,
            true() if self.until is None else day <= self.until,
        )


@dataclass(frozen=True)
class StatementLine:
    """One document of a statement. `amount` is below zero where it reduces what is owed.

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

    @property
    def before(self) -> Decimal:
        """The balance before it."""
        return self.balance - self.amount

    @property
    def credited(self) -> Decimal:
        """The amount that it credits."""
        return -self.amount


@dataclass(frozen=True)
class Summary:
    """The totals of a statement; `total` is the net of all documents, of any day."""

    opening: Decimal
    invoiced: Decimal
    adjusted: Decimal
    paid: Decimal
    count: int
    total: Decimal

    @property
    def closing(self) -> Decimal:
        """What is owed at the end of the period."""
        owed: Decimal = owed_of(self.invoiced, self.adjusted, self.paid)
        return self.opening + owed

    @property
    def beyond(self) -> Decimal:
        """The net of the documents after the period."""
        return self.total - self.closing


def meters_of_customer(session: Session, customer: Customer) -> Sequence[int]:
    """The meters of the customer's statement: those actively assigned."""
    active = select(MeterAssignment.meter_id).where(
        MeterAssignment.customer_id == customer.id, MeterAssignment.is_active
    )
    return session.scalars(active).all()


def running_balances(meters: Sequence[int], period: Period) -> Subquery:
    """The documents in the period with their `position` among all, and the `balance` after each."""
    documents = _positioned(meters)
    return _reported(documents).where(period.holds(documents.c.day)).subquery("running")


def lines_of(
    session: Session, meters: Sequence[int], period: Period, *, limit: int, offset: int = 0
) -> Sequence[StatementLine]:
    """The documents in the period in their order, from `offset` on."""
    documents = _positioned(meters)
    page = (
        select(documents)
        .where(period.holds(documents.c.day))
        .order_by(documents.c.position)
        .limit(limit)
        .offset(offset)
        .subquery("page")
    )
    found = session.execute(_reported(page).order_by(page.c.position)).mappings()
    names = [field.name for field in fields(StatementLine)]
    return [StatementLine(**{name: row[name] for name in names}) for row in found]


def summary_of(session: Session, meters: Sequence[int], period: Period) -> Summary:
    """The totals of the statement of the period."""
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


def _positioned(meters: Sequence[int]) -> Subquery:
    """Every document with its position, and the running balance after it."""
    documents = _documents(meters)
    order = (documents.c.day, documents.c.rank, documents.c.id)
    return select(
        documents,
        func.row_number().over(order_by=order).label("position"),
        func.sum(documents.c.amount).over(order_by=order, rows=(None, 0)).label("balance"),
    ).subquery("positioned")


def _documents(meters: Sequence[int]) -> Subquery:
    """Every document of the meters that is not void, from its own row alone.

    Nothing is joined here: where the planner expects one row instead of thousands, it would scan another
    table for each of them.
    """
    own = MeterAdjustment
    invoices = _of(
        meters, Invoice, "invoice", 0,
        id=Invoice.id, number=Invoice.number, day=Invoice.issued_on, due_on=Invoice.due_on,
        meter_ids=array([Invoice.meter_id]), invoice_ids=_NO_IDS, reason=literal(""),
        amount=Invoice.amount,
    )  # fmt: skip
    adjustments = _of(
        meters, own, "adjustment", 1,
        id=own.id, number=own.number, day=own.adjusted_on, due_on=cast(null(), own.adjusted_on.type),
        meter_ids=array([own.meter_id]), invoice_ids=_NO_IDS, reason=own.reason, amount=own.amount,
    )  # fmt: skip
    paid = func.array_agg(aggregate_order_by(Payment.invoice_id, Payment.part))
    receipts = _of(  # each once, however many parts are on these meters
        meters, Payment, "payment", 2,
        id=func.min(Payment.id), number=Payment.reference, day=Payment.paid_on,
        due_on=cast(null(), Payment.paid_on.type),
        meter_ids=func.array_agg(Payment.meter_id.distinct()), invoice_ids=paid,
        reason=literal(""), amount=-func.sum(Payment.amount),
    ).group_by(Payment.reference, Payment.paid_on)  # fmt: skip
    return union_all(invoices, adjustments, receipts).subquery("documents")


_NO_IDS = cast(null(), ARRAY(BigInteger))


def _of(
    meters: Sequence[int], model: Any, kind: str, rank: int, **columns: Any
) -> Select[*tuple[Any, ...]]:
    """The documents of one kind on the meters. Within a day `rank` puts charges before payments."""
    on_these = any_(literal(list(meters), ARRAY(BigInteger)))
    return select(
        literal(kind, Text).label("kind"),
        literal(rank).label("rank"),
        *(value.label(name) for name, value in columns.items()),
    ).where(model.meter_id == on_these, model.status != VOID)


def _reported(documents: Subquery) -> Select[*tuple[Any, ...]]:
    """The documents with the numbers of their meters, and a note: see `StatementLine`."""
    on, paid = _each(documents.c.meter_ids, "of_meters"), _each(documents.c.invoice_ids, "paid")
    meter = select(Meter.number).where(Meter.id == on.c.id).scalar_subquery()
    invoice = select(Invoice.number).where(Invoice.id == paid.c.id).scalar_subquery()
    meters = select(func.string_agg(meter.distinct(), literal(", "))).select_from(on)
    in_order = aggregate_order_by(literal(", "), paid.c.place)
    invoices = select(func.string_agg(invoice, in_order)).select_from(paid)
    return select(
        documents,
        meters.scalar_subquery().label("meter"),
        func.coalesce(invoices.scalar_subquery(), documents.c.reason).label("note"),
    )


def _each(ids: Any, name: str) -> TableValuedAlias:
    """The ids of an array, each with its position."""
    unnested = func.unnest(ids).table_valued("id", with_ordinality="place", name=name)
    return unnested.render_derived()


@dataclass(frozen=True)
class Uncounted:
    """The newest documents of a customer without a meter, and how many there are."""

    invoices: Sequence[Invoice]
    payments: Sequence[Payment]
    invoice_count: int
    payment_count: int


def not_counted_yet(session: Session, customer: Customer, *, limit: int) -> Uncounted:
    """The customer's documents that count in no balance because they have no meter."""

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
