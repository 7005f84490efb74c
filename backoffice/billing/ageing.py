"""How overdue what is owed is: what of each meter's balance is how old, as of a day.

What was paid on an invoice itself comes off that invoice. Whatever else was paid or forgiven on the
meter goes to the oldest of what is open, the earliest due first. So what is owed consists of the
youngest open parts, and these are found without knowing what paid for the older ones: going back from
the youngest, until they come to the meter's balance. Positive adjustments are owed from their day on.

A payment that names an invoice but counts on another meter, or on none, takes nothing off what this
meter owes. Where the open parts come to less than the balance, that is why, and such payments are put
back on the invoices that they name.

Documents after the day don't count: the balance of the day is the meter's balance without them.
"""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    func,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session

from ..base import N_
from . import figures
from .models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment
from .rules import VOID


class Bucket(NamedTuple):
    """What is overdue by so many days, both included; None: no limit. `current` is not overdue yet."""

    name: str
    label: str
    since: int | None
    until: int | None


BUCKETS = (
    Bucket("current", N_("Not yet due"), None, 0),
    Bucket("days_30", N_("1–30 days"), 1, 30),
    Bucket("days_60", N_("31–60 days"), 31, 60),
    Bucket("days_90", N_("61–90 days"), 61, 90),
    Bucket("older", N_("Over 90 days"), 91, None),
)
"""How overdue something can be, from the youngest to the oldest; together they are everything."""


def ageing_by_meter(day: date) -> Subquery:
    """Per meter with a balance on `day`: its `id`, a column per bucket, and their `total`, its balance."""
    return _aged(_owing(day, Meter.id.expression), day)


def ageing_by_customer(day: date) -> Subquery:
    """As `ageing_by_meter`, per customer to whom meters are actively assigned now; 0: meters of nobody."""
    return _aged(_owing(day, func.coalesce(MeterAssignment.customer_id, 0)), day)


def _aged(owing: CTE, day: date) -> Subquery:
    """What is owed for the meters of `owing`, by whose they are and by bucket."""
    parts = _owed_parts(owing, day)
    columns = [_sum_of(bucket, parts, day) for bucket in BUCKETS]
    return (
        select(parts.c.whose.label("id"), *columns, func.sum(parts.c.owed).label("total"))
        .group_by(parts.c.whose)
        .subquery("ageing")
    )


def owed_on(session: Session, day: date) -> tuple[Decimal, Decimal]:
    """What all meters together owe on `day`, which its ageing comes to; and what is stored as owed."""
    later = _later(day)
    owed = func.greatest(figures.owed - func.coalesce(later.c.amount, 0), 0)
    row = session.execute(
        select(func.coalesce(func.sum(owed), 0), func.coalesce(func.sum(Meter.balance), 0))
        .select_from(Meter)
        .outerjoin(later, later.c.meter_id == Meter.id)
    ).one()
    return row[0], row[1]


def _sum_of(bucket: Bucket, parts: FromClause, day: date) -> ColumnElement[Any]:
    """What of the parts is so overdue on `day`."""
    conditions: list[ColumnElement[bool]] = [true()]
    if bucket.since is not None:
        conditions.append(parts.c.due_on <= day - timedelta(days=bucket.since))
    if bucket.until is not None:
        conditions.append(parts.c.due_on >= day - timedelta(days=bucket.until))
    nothing = Decimal("0.00")  # with its cents, as a file says it
    return func.coalesce(func.sum(parts.c.owed).filter(*conditions), nothing).label(bucket.name)


def _owed_parts(owing: CTE, day: date) -> Subquery:
    """What is owed on `day`, by whose it is and due date: the youngest open parts that come to the balance."""
    items = _items(owing, day)
    youngest_first = (items.c.due_on.desc(), items.c.kind.desc(), items.c.id.desc())
    younger = func.sum(items.c.open).over(
        partition_by=items.c.meter_id, order_by=youngest_first, rows=(None, -1)
    )
    owed = func.least(items.c.open, items.c.balance - func.coalesce(younger, 0))
    reached = select(items.c.whose, items.c.due_on, owed.label("owed")).subquery("reached")
    return select(reached).where(reached.c.owed > 0).subquery("owed_parts")


def _owing(day: date, whose: ColumnElement[Any]) -> CTE:
    """The meters with a balance on `day`: that balance, and `whose` it is."""
    later = _later(day)
    balance = (figures.owed - func.coalesce(later.c.amount, 0)).label("balance")
    is_owner = (MeterAssignment.meter_id == Meter.id) & MeterAssignment.is_active
    return (
        select(Meter.id.label("meter_id"), balance, whose.label("whose"))
        .select_from(Meter)
        .outerjoin(later, later.c.meter_id == Meter.id)
        .outerjoin(MeterAssignment, is_owner)
        .where(balance > 0)
        .cte("owing")
    )


def _later(day: date) -> Subquery:
    """What the documents after `day` added to what each meter owes."""
    kinds = (
        (Invoice, Invoice.amount, Invoice.issued_on),
        (MeterAdjustment, MeterAdjustment.amount, MeterAdjustment.adjusted_on),
        (Payment, -Payment.amount, Payment.paid_on),
    )
    documents = union_all(
        *(
            select(model.meter_id, amount.label("amount")).where(
                on > day, model.status != VOID, model.meter_id.is_not(None)
            )
            for model, amount, on in kinds
        )
    ).subquery("later_documents")
    return (
        select(documents.c.meter_id, func.sum(documents.c.amount).label("amount"))
        .group_by(documents.c.meter_id)
        .subquery("later")
    )


def _items(owing: CTE, day: date) -> Subquery:
    """What is open on the owing meters: the columns of `owing`, `kind` and `id`, `due_on`, `open`."""
    later = _named_later(day)
    open_parts = union_all(
        _open_invoices(owing, later, day), _paid_later(owing, later, day), _adjustments(owing, day)
    ).cte("open_parts")
    sums = (
        select(open_parts.c.meter_id, func.sum(open_parts.c.open).label("open"))
        .group_by(open_parts.c.meter_id)
        .subquery("sums")
    )
    short = (
        select(owing)
        .outerjoin(sums, sums.c.meter_id == owing.c.meter_id)
        .where(owing.c.balance > func.coalesce(sums.c.open, 0))
        .cte("short")
    )
    return union_all(select(open_parts), _paid_elsewhere(short, day)).subquery("items")


def _open_invoices(owing: CTE, later: CTE, day: date) -> Select[Any]:
    """What of the invoices that are not paid today was open on `day`."""
    open_part = Invoice.amount - Invoice.paid + func.coalesce(later.c.amount, 0)
    return (
        _item(owing, 0, Invoice.id, Invoice.due_on, open_part)
        .join(Invoice, Invoice.meter_id == owing.c.meter_id)
        .outerjoin(later, later.c.invoice_id == Invoice.id)
        .where(Invoice.status != VOID, Invoice.paid < Invoice.amount, Invoice.issued_on <= day)
    )


def _paid_later(owing: CTE, later: CTE, day: date) -> Select[Any]:
    """What of the invoices that are paid today was open on `day`."""
    open_part = Invoice.amount - Invoice.paid + later.c.amount
    return (
        _item(owing, 0, Invoice.id, Invoice.due_on, open_part)
        .join(Invoice, Invoice.meter_id == owing.c.meter_id)
        .join(later, later.c.invoice_id == Invoice.id)
        .where(Invoice.status != VOID, Invoice.paid >= Invoice.amount, Invoice.issued_on <= day)
        .where(open_part > 0)
    )


def _adjustments(owing: CTE, day: date) -> Select[Any]:
    """What was owed in addition: like an invoice that is due on the day of the adjustment."""
    own = MeterAdjustment
    return (
        _item(owing, 1, own.id, own.adjusted_on, own.amount)
        .join(own, own.meter_id == owing.c.meter_id)
        .where(own.status != VOID, own.amount > 0, own.adjusted_on <= day)
    )


def _paid_elsewhere(short: CTE, day: date) -> Select[Any]:
    """What payments that don't count on the meter took off its invoices."""
    is_here = Payment.meter_id.is_not_distinct_from(Invoice.meter_id)
    named = (
        select(
            func.coalesce(func.sum(Payment.amount).filter(is_here), 0).label("here"),
            func.coalesce(func.sum(Payment.amount).filter(~is_here), 0).label("elsewhere"),
        )
        .where(Payment.invoice_id == Invoice.id, Payment.status != VOID, Payment.paid_on <= day)
        .correlate(Invoice)
        .lateral("named")
    )
    open_here = func.greatest(Invoice.amount - named.c.here, 0)
    open_anywhere = func.greatest(Invoice.amount - named.c.here - named.c.elsewhere, 0)
    return (
        _item(short, 2, Invoice.id, Invoice.due_on, open_here - open_anywhere)
        .join(Invoice, Invoice.meter_id == short.c.meter_id)
        .join(named, true())
        .where(Invoice.status != VOID, Invoice.issued_on <= day, named.c.elsewhere > 0)
    )


def _named_later(day: date) -> CTE:
    """What was paid after `day` on each invoice that was."""
    return (
        select(Payment.invoice_id, func.sum(Payment.amount).label("amount"))
        .where(Payment.paid_on > day, Payment.status != VOID, Payment.invoice_id.is_not(None))
        .group_by(Payment.invoice_id)
        .cte("named_later")
    )


def _item(owing: CTE, kind: int, key: Any, due_on: Any, open_part: Any) -> Select[Any]:
    """One kind of what can be open on the meters of `owing`; the caller joins it to them."""
    return select(
        owing.c.meter_id,
        owing.c.balance,
        owing.c.whose,
        literal(kind).label("kind"),
        key.label("id"),
        due_on.label("due_on"),
        open_part.label("open"),
    ).select_from(owing)
