"""Ageing of receivables: each meter's balance by how long it is overdue, as of a day.

Payments that name an invoice reduce that invoice. All other payments and credits of the meter pay its
oldest open items, the earliest due first. So the balance consists of the youngest open items, which
are found without matching payments to the older ones: going back from the youngest, until they add up
to the meter's balance. Positive adjustments are due on their day.

A payment that names an invoice but is booked on another meter, or on none, does not reduce this
meter's balance. Where the open items add up to less than the balance, such payments are the cause,
and are added back to the invoices that they name.

Documents after the day are ignored: the balance of the day is the meter's balance without them.
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
    and_,
    case,
    func,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session

from ...base import N_
from .. import figures
from ..models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment
from ..rules import VOID


class Bucket(NamedTuple):
    """A range of days overdue, both included; None: no limit. `current` is not overdue yet."""

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
"""The buckets of the ageing, from the youngest to the oldest; together they cover everything."""


_OPEN, _PAID_LATER, _ADJUSTED, _PAID_ELSEWHERE = range(4)
"""Kinds of open items; all but the adjustments belong to an invoice."""


def ageing_by_meter(day: date) -> Subquery:
    """Per meter with a balance on `day`: its `id`, a column per bucket, and their `total`, its balance."""
    return _aged(_owing(day, Meter.id.expression), day)


def ageing_by_customer(day: date) -> Subquery:
    """As `ageing_by_meter`, per customer with actively assigned meters; 0: meters without a customer."""
    return _aged(_owing(day, func.coalesce(MeterAssignment.customer_id, 0)), day)


def documents_owed(day: date, meters: Select[int] | None = None) -> Subquery:
    """The open amount of each document on `day`, on all meters or on these; together they are the ageing.

    Columns `position`, `meter_id`, `due_on`, `owed`, and the key of the document: `invoice_id`, or
    `adjustment_id`.
    """
    parts = _owed_parts(_owing(day, Meter.id.expression, meters), day)
    invoice_id = case((parts.c.kind != _ADJUSTED, parts.c.id))
    adjustment_id = case((parts.c.kind == _ADJUSTED, parts.c.id))
    owner = (parts.c.meter_id, parts.c.due_on, invoice_id, adjustment_id)
    return (
        select(
            func.row_number().over(order_by=(parts.c.due_on, *owner)).label("position"),
            parts.c.meter_id,
            parts.c.due_on,
            invoice_id.label("invoice_id"),
            adjustment_id.label("adjustment_id"),
            func.sum(parts.c.owed).label("owed"),
        )
        .group_by(*owner)
        .subquery("documents_owed")
    )


def is_overdue_by(bucket: Bucket, due_on: Any, day: date) -> ColumnElement[bool]:
    """Whether an item due on `due_on` is in this bucket on `day`."""
    since = true() if bucket.since is None else due_on <= day - timedelta(days=bucket.since)
    until = true() if bucket.until is None else due_on >= day - timedelta(days=bucket.until)
    return and_(since, until)


def _aged(owing: CTE, day: date) -> Subquery:
    """What is owed for the meters of `owing`, by owner and bucket."""
    parts = _owed_parts(owing, day)
    columns = [_sum_of(bucket, parts, day) for bucket in BUCKETS]
    return (
        select(parts.c.owner.label("id"), *columns, func.sum(parts.c.owed).label("total"))
        .group_by(parts.c.owner)
        .subquery("ageing")
    )


class TieOut(NamedTuple):
    """The ageing of a day compared with the stored balances.

    `aged` is the sum of its parts, `owed` that of the meters' balances on the day, `stored` that of their
    stored balances. `differences` counts the meters with a stored balance other than their documents' sums.
    """

    aged: Decimal
    owed: Decimal
    stored: Decimal
    differences: int

    @property
    def holds(self) -> bool:
        """Whether the parts add up to the balances, and every balance equals its documents' sums."""
        return self.aged == self.owed and not self.differences


def tie_out_on(session: Session, day: date) -> TieOut:
    """Compare the ageing of all meters on `day` with the stored balances."""
    meters, on_the_day = _meters_on(day)
    differs = Meter.balance.is_distinct_from(func.greatest(figures.owed, 0))
    ages = ageing_by_meter(day)
    aged = select(func.coalesce(func.sum(ages.c.total), 0)).scalar_subquery()
    row = session.execute(
        select(
            aged,
            func.coalesce(func.sum(func.greatest(on_the_day, 0)), 0),
            func.coalesce(func.sum(Meter.balance), 0),
            func.count().filter(differs),
        ).select_from(meters)
    ).one()
    return TieOut(*row)


def _sum_of(bucket: Bucket, parts: FromClause, day: date) -> ColumnElement[Any]:
    """The sum of the parts that are in this bucket on `day`."""
    owed = func.sum(parts.c.owed).filter(is_overdue_by(bucket, parts.c.due_on, day))
    nothing = Decimal("0.00")  # with its cents, as exports write it
    return func.coalesce(owed, nothing).label(bucket.name)


def _owed_parts(owing: CTE, day: date) -> Subquery:
    """The open amounts on `day` by item: the youngest open items that add up to the balance."""
    items = _open_items(owing, day)
    youngest_first = (items.c.due_on.desc(), items.c.kind.desc(), items.c.id.desc())
    younger = func.sum(items.c.open).over(
        partition_by=items.c.meter_id, order_by=youngest_first, rows=(None, -1)
    )
    owed = func.least(items.c.open, items.c.balance - func.coalesce(younger, 0))
    own = (items.c.owner, items.c.meter_id, items.c.kind, items.c.id, items.c.due_on)
    reached = select(*own, owed.label("owed")).subquery("reached")
    return select(reached).where(reached.c.owed > 0).subquery("owed_parts")


def _owing(day: date, owner: ColumnElement[Any], meters: Select[int] | None = None) -> CTE:
    """The meters with a balance on `day`, of all or of these: that balance, and its `owner`."""
    found, owed = _meters_on(day, meters)
    is_owner = (MeterAssignment.meter_id == Meter.id) & MeterAssignment.is_active
    return (
        select(Meter.id.label("meter_id"), owed.label("balance"), owner.label("owner"))
        .select_from(found.outerjoin(MeterAssignment, is_owner))
        .where(owed > 0, _is_of(meters, Meter.id))
        .cte("owing")
    )


def _meters_on(
    day: date, meters: Select[int] | None = None
) -> tuple[FromClause, ColumnElement[Any]]:
    """The meters, and the sum of each one's documents up to `day`: all of them, less the later ones.

    Each kind is summed by itself from an index by meter that includes the amounts, without reading
    the rows themselves. For meters outside `meters` documents may be missing.
    """
    found: FromClause = Meter.__table__
    owed: ColumnElement[Any] = figures.owed
    for model, amount, on in (
        (Invoice, Invoice.amount, Invoice.issued_on),
        (MeterAdjustment, MeterAdjustment.amount, MeterAdjustment.adjusted_on),
        (Payment, -Payment.amount, Payment.paid_on),
    ):
        later = (
            select(model.meter_id, func.sum(amount).label("amount"))
            .where(on > day, model.status != VOID, model.meter_id.is_not(None))
            .where(_is_of(meters, model.meter_id))
            .group_by(model.meter_id)
            .subquery(f"later_{model.__tablename__}")
        )
        found = found.outerjoin(later, later.c.meter_id == Meter.id)
        owed = owed - func.coalesce(later.c.amount, 0)
    return found, owed


def _is_of(meters: Select[int] | None, meter_id: Any) -> ColumnElement[bool]:
    return true() if meters is None else meter_id.in_(meters)


def _open_items(owing: CTE, day: date) -> Subquery:
    """The open items of the owing meters: the columns of `owing`, `kind` and `id`, `due_on`, `open`."""
    open_parts = union_all(
        _open_invoices(owing, day), _paid_later(owing, day), _adjustments(owing, day)
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


def _open_invoices(owing: CTE, day: date) -> Select[Any]:
    """The amounts of invoices that are open today; a partial index covers them."""
    return (
        _open_item(owing, _OPEN, Invoice.id, Invoice.due_on, Invoice.open)
        .join(Invoice, Invoice.meter_id == owing.c.meter_id)
        .where(Invoice.is_open, Invoice.issued_on <= day)
    )


def _paid_later(owing: CTE, day: date) -> Select[Any]:
    """The amounts of invoices that were open on `day` as well, because they were paid later.

    What was overpaid never was open. Both parts of an invoice have one due date, so they age as one.
    """
    overpaid = func.greatest(-Invoice.open, 0)
    later = (
        select(
            Invoice.id, Invoice.meter_id, Invoice.due_on,
            (func.sum(Payment.amount) - overpaid).label("open"),
        )
        .join(Payment, Payment.invoice_id == Invoice.id)
        .where(Payment.paid_on > day, Payment.status != VOID, Payment.invoice_id.is_not(None))
        .where(Invoice.issued_on <= day, Invoice.status != VOID)
        .where(Invoice.meter_id.in_(select(owing.c.meter_id)))
        .group_by(Invoice.id)
        .subquery("paid_later")
    )  # fmt: skip
    return (
        _open_item(owing, _PAID_LATER, later.c.id, later.c.due_on, later.c.open)
        .join(later, later.c.meter_id == owing.c.meter_id)
        .where(later.c.open > 0)
    )


def _adjustments(owing: CTE, day: date) -> Select[Any]:
    """Positive adjustments: like an invoice that is due on the day of the adjustment."""
    own = MeterAdjustment
    return (
        _open_item(owing, _ADJUSTED, own.id, own.adjusted_on, own.amount)
        .join(own, own.meter_id == owing.c.meter_id)
        .where(own.status != VOID, own.amount > 0, own.adjusted_on <= day)
    )


def _paid_elsewhere(short: CTE, day: date) -> Select[Any]:
    """What payments booked on another meter, or on none, took off the meter's invoices."""
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
    open_here = func.greatest(Invoice.open_after(named.c.here), 0)
    open_anywhere = func.greatest(Invoice.open_after(named.c.here + named.c.elsewhere), 0)
    return (
        _open_item(short, _PAID_ELSEWHERE, Invoice.id, Invoice.due_on, open_here - open_anywhere)
        .join(Invoice, Invoice.meter_id == short.c.meter_id)
        .join(named, true())
        .where(Invoice.status != VOID, Invoice.issued_on <= day, named.c.elsewhere > 0)
    )


def _open_item(owing: CTE, kind: int, key: Any, due_on: Any, open_part: Any) -> Select[Any]:
    """One kind of open item on the meters of `owing`; the caller joins it to them."""
    return select(
        owing.c.meter_id,
        owing.c.balance,
        owing.c.owner,
        literal(kind).label("kind"),
        key.label("id"),
        due_on.label("due_on"),
        open_part.label("open"),
    ).select_from(owing)
