"""`import payments`: created and updated by reference.

A reference that several lines have is one receipt: the first line is its part 1, and so on. Meter
and invoice may be empty, and stay so: what a payment belongs on is found by the backfill. An empty
cell of a payment that is there leaves what is there, so that the same file again takes no meter
away. A void payment may be repeated, but not changed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Numeric,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)

from ...base import N_
from ...billing.models import Invoice, Meter, Payment
from ...billing.rules import METHODS, NUMBER_LENGTH, VOID
from ...customers.rules import CODE_LENGTH
from ...upserts import upsert
from .. import cells
from ..reading import ImportColumn
from ..report import Problem
from ..stage import Stage
from .base import Changes, Kind
from .billing import (
    at,
    booked_customers,
    changes_of_void,
    lock,
    number,
    said,
    unknown_customers,
    unknown_meters,
)

FACTS = ("customer_id", "meter_id", "invoice_id", "method", "paid_on", "amount")
"""What a line says of a payment, beside its reference."""

COLUMNS = (
    ImportColumn("reference", number, Text()),
    ImportColumn("customer_code", cells.text(CODE_LENGTH), Text()),
    ImportColumn("meter_number", cells.text(NUMBER_LENGTH), Text(), may_be_empty=True),
    ImportColumn("invoice_number", cells.text(NUMBER_LENGTH), Text(), may_be_empty=True),
    ImportColumn("paid_on", cells.day, Date()),
    ImportColumn("amount", cells.positive_amount, Numeric(15, 2)),
    ImportColumn("method", cells.one_of(*METHODS), Text(), required=False, may_be_empty=True),
)


def _check(stage: Stage) -> Iterator[Problem]:
    yield from unknown_customers(stage)
    yield from unknown_meters(stage)
    yield from stage.problems(
        stage.unknown("invoice_number", Invoice.number.expression),
        "invoice_number",
        N_("There is no invoice %(value)s. Import the invoices first."),
    )
    yield from _receipts(stage)
    wanted = _wanted(stage).subquery()
    is_other = or_(*(wanted.c[name].is_distinct_from(wanted.c[f"stored_{name}"]) for name in FACTS))
    yield from changes_of_void(stage, wanted, is_other)
    yield from stage.problems(
        at(wanted, wanted.c.invoice_number.label("value")).where(
            wanted.c.stored_id.is_(None), wanted.c.is_of_void
        ),
        "invoice_number",
        N_("Invoice %(value)s is void. Name another one, or none."),
    )
    yield from _of_another_meter(stage, wanted)


def _receipts(stage: Stage) -> Iterator[Problem]:
    """What is wrong with the lines of one receipt together."""
    yield from stage.problems(
        stage.repeated("reference", "invoice_number"),
        "reference",
        N_(
            "This reference stands in line %(first)s already. "
            "The parts of one receipt each name an invoice of their own."
        ),
    )
    for name in ("customer_code", "paid_on", "method"):
        if stage.has(name):
            yield from stage.problems(
                stage.contradicting(name, within="reference"),
                name,
                N_("An earlier line says “%(first)s” of this receipt."),
            )
    ordered = func.row_number().over(partition_by=stage.c.reference, order_by=stage.c.n)
    counted = func.count().over(partition_by=stage.c.reference)
    lines = stage.at(
        stage.c.n, stage.c.reference, ordered.label("part"), counted.label("lines")
    ).subquery()
    stored = (
        select(Payment.reference, func.max(Payment.part).label("parts"))
        .where(Payment.part > 1)
        .group_by(Payment.reference)
        .subquery()
    )
    yield from stage.problems(
        at(lines, stored.c.parts, lines.c.lines)
        .join(stored, stored.c.reference == lines.c.reference)
        .where(lines.c.part == 1, stored.c.parts > lines.c.lines),
        "reference",
        N_(
            "This receipt has %(parts)s parts, but %(lines)s in the files. "
            "Put all of them there, or leave it out."
        ),
    )


def _of_another_meter(stage: Stage, wanted: Any) -> Iterator[Problem]:
    """Lines that book a payment on another meter than its invoice's; what is stored may be so."""
    is_new = or_(
        *(
            wanted.c[name].is_distinct_from(wanted.c[f"stored_{name}"])
            for name in ("meter_id", "invoice_id")
        )
    )
    invoices_meter = Meter.__table__.alias("invoices_meter")
    yield from stage.problems(
        at(wanted, Invoice.number.label("value"), invoices_meter.c.number.label("meter"))
        .join(Invoice, Invoice.id == wanted.c.invoice_id)
        .join(invoices_meter, invoices_meter.c.id == Invoice.meter_id)
        .where(is_new, wanted.c.meter_id != Invoice.meter_id),
        "invoice_number",
        N_("Invoice %(value)s is of meter %(meter)s. Name that meter, or none."),
    )


def _wanted(stage: Stage) -> Select[Any]:
    """The lines, each with the payment that it makes, and with what is stored of it now.

    Voiding an invoice takes it from its payments; a file that still names it doesn't give it back.
    """
    lines = select(
        *stage.c,
        func.row_number().over(partition_by=stage.c.reference, order_by=stage.c.n).label("part"),
    ).subquery("parts")
    customers = booked_customers()
    invoice_id = func.coalesce(Invoice.id, Payment.invoice_id)
    is_of_void = func.coalesce(Invoice.status == VOID, False)
    named = lines.c.method if stage.has("method") else cast(said(stage, "method"), Text)
    return (
        select(
            lines.c.n,
            lines.c.file,
            lines.c.line,
            lines.c.reference,
            lines.c.part,
            customers.c.id.label("customer_id"),
            func.coalesce(Meter.id, Payment.meter_id).label("meter_id"),
            case((is_of_void, Payment.invoice_id), else_=invoice_id).label("invoice_id"),
            lines.c.invoice_number,
            is_of_void.label("is_of_void"),
            func.coalesce(named, Payment.method, "transfer").label("method"),
            lines.c.paid_on,
            lines.c.amount,
            Payment.id.label("stored_id"),
            func.coalesce(Payment.status == VOID, False).label("is_void"),
            *(getattr(Payment, name).label(f"stored_{name}") for name in FACTS),
        )
        .select_from(lines)
        .join(customers, customers.c.code == lines.c.customer_code)
        .outerjoin(Meter, Meter.number == lines.c.meter_number)
        .outerjoin(Invoice, Invoice.number == lines.c.invoice_number)
        .outerjoin(
            Payment, and_(Payment.reference == lines.c.reference, Payment.part == lines.c.part)
        )
    )


def _apply(stage: Stage) -> Changes:
    known = select(Payment.id).join(stage.lines, stage.c.reference == Payment.reference)
    lock(stage, known, Payment)
    wanted = _wanted(stage).subquery()
    names = ("reference", "part", *FACTS)
    rows = select(*(wanted.c[name] for name in names)).order_by(wanted.c.stored_id, wanted.c.n)
    changed = {"version": Payment.version + 1, "updated_at": func.now()}
    written = upsert(stage.session, Payment, rows, "reference", "part", on_change=changed)
    return Changes(*written)


def _totals(stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    return {N_("Amount"): func.sum(stage.c.amount)}


KIND = Kind("payments", COLUMNS, _check, _apply, together="reference", totals=_totals)
