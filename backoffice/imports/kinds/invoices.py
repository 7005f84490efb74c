"""`import invoices`: created and updated by number.

With `units` and `rate` the amount is a figure: the file may repeat it but not change it, and may
leave it empty. An empty cell keeps the stored value. A void invoice may be repeated, but not
changed. While payments name an invoice, its meter and customer stay, and its amount stays at least
their sum, as on screen.
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
from ...billing.invoices.fields import FIELDS, NUMBER, PLACED
from ...billing.invoices.refusals import LessThanPaid, PaymentsGoAlong
from ...billing.models import Invoice, Meter, Payment
from ...billing.queries import paid_by_payments
from ...billing.rules import NUMBER_LENGTH, VOID, is_less_than_paid
from ...customers.models import Customer
from ...customers.queries import booked_customers
from ...customers.rules import CODE_LENGTH
from ..files import cells
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, ImportKind, creates, reads
from .billing import (
    at,
    changed_concurrently,
    changes_of_void,
    lock,
    nothing,
    number,
    optional_column,
    said_amount,
    unknown_customers,
    unknown_meters,
    write,
)
from .field_columns import column_of, value_or_stored

FURTHER = tuple(field for field in FIELDS if field.name not in PLACED)
"""Declared fields without special handling here."""

FACTS = (
    "customer_id", "meter_id", "units", "rate", "fixed_charge", "issued_on", "due_on",
    *(field.key for field in FURTHER),
)  # fmt: skip
"""The columns of an invoice that a line sets, beside its number and its amount."""


def _calculated(name: str, read: Any, decimals: int) -> ImportColumn:
    return ImportColumn(name, read, Numeric(15, decimals), required=False, may_be_empty=True)


STORED = ("id", "version", *FACTS, "amount")
"""The stored columns that the lines are compared with."""

COLUMNS = (
    ImportColumn("number", number, Text()),
    ImportColumn("customer_code", cells.text(CODE_LENGTH), Text()),
    ImportColumn("meter_number", cells.text(NUMBER_LENGTH), Text(), may_be_empty=True),
    ImportColumn("issued_on", cells.day, Date()),
    ImportColumn("due_on", cells.day, Date()),
    ImportColumn("amount", cells.amount, Numeric(15, 2), may_be_empty=True),
    _calculated("units", cells.quantity, 3),
    _calculated("rate", cells.unit_price, 4),
    _calculated("fixed_charge", cells.amount, 2),
    *map(column_of, FURTHER),
)


def _check(stage: Stage) -> Iterator[Problem]:
    """Check the lines. Locks the invoices first, so that voiding or paying one of them waits for the import."""
    known = select(Invoice.id).join(stage.lines, stage.c.number == Invoice.number)
    lock(stage, known, Invoice)
    wanted = stage.lay_out(_wanted(stage))
    yield from stage.problems(
        stage.repeated("number"), "number", N_("This number stands in line %(first)s already.")
    )
    yield from unknown_customers(stage)
    yield from unknown_meters(stage)
    yield from stage.problems(
        stage.at().where(stage.c.due_on < stage.c.issued_on),
        "due_on",
        N_("The invoice is due before it is issued."),
    )
    for name, other in (("units", "rate"), ("rate", "units")):
        yield from stage.problems(
            at(wanted).where(wanted.c[name].is_(None), wanted.c[other].is_not(None)),
            name,
            N_("Units and a rate come together. Fill in both, or neither."),
        )
    yield from nothing(stage, wanted)
    yield from _without_units(stage, wanted)
    yield from changes_of_void(stage, wanted, _is_other(wanted))
    yield from _leaving_payments(stage, wanted)


def _is_other(wanted: Any) -> ColumnElement[bool]:
    """Whether a line differs from what is stored."""
    return or_(
        *(wanted.c[name].is_distinct_from(wanted.c[f"stored_{name}"]) for name in FACTS),
        wanted.c.said_amount != wanted.c.stored_amount,
    )


def _leaving_payments(stage: Stage, wanted: Any) -> Iterator[Problem]:
    """Problems of lines that would separate an invoice from the payments that name it.

    One without a meter may get one unless a payment is on another: its payments follow it.
    """
    is_elsewhere = and_(
        Payment.invoice_id == wanted.c.stored_id,
        Payment.status != VOID,
        Payment.meter_id != wanted.c.meter_id,
    )
    leaves_meter = case(
        (wanted.c.stored_meter_id.is_(None), select(Payment.id).where(is_elsewhere).exists()),
        else_=wanted.c.meter_id != wanted.c.stored_meter_id,
    )
    with_payments = at(wanted).where(wanted.c.paid > 0)
    for column, leaves in (
        ("customer_code", wanted.c.customer_id != wanted.c.stored_customer_id),
        ("meter_number", leaves_meter),
    ):
        yield from stage.problems(with_payments.where(leaves), column, PaymentsGoAlong.sentence)


def _without_units(stage: Stage, wanted: Any) -> Iterator[Problem]:
    """Problems of invoices without units."""
    is_entered = and_(wanted.c.units.is_(None), wanted.c.rate.is_(None))
    yield from stage.problems(
        at(wanted).where(is_entered, wanted.c.amount.is_(None)),
        "amount",
        N_("Fill in the amount, or units and a rate."),
    )
    yield from stage.problems(
        at(wanted).where(is_entered, wanted.c.fixed_charge > 0),
        "fixed_charge",
        N_(
            "A fixed charge is added to units × rate. Fill in both, or have it in the amount instead."
        ),
    )


def _wanted(stage: Stage) -> Select[Any]:
    """The lines, each with the invoice that it is to become, and with the stored values."""
    customers, said = booked_customers(), said_amount(stage.c.amount, Invoice.status == VOID)

    def given_or_stored(name: str, *otherwise: Any) -> ColumnElement[Any]:
        column = getattr(Invoice, name)
        return func.coalesce(cast(optional_column(stage, name), column.type), column, *otherwise)

    return (
        select(
            stage.c.n,
            stage.c.file,
            stage.c.line,
            stage.c.number,
            customers.c.id.label("customer_id"),
            func.coalesce(Meter.id, Invoice.meter_id).label("meter_id"),
            given_or_stored("units").label("units"),
            given_or_stored("rate").label("rate"),
            given_or_stored("fixed_charge", 0).label("fixed_charge"),
            stage.c.issued_on,
            stage.c.due_on,
            *(
                value_or_stored(
                    field, cast(optional_column(stage, field.name), field.column.type)
                ).label(field.key)
                for field in FURTHER
            ),
            func.coalesce(said, Invoice.amount).label("amount"),
            said.label("said_amount"),
            func.coalesce(Invoice.status == VOID, False).label("is_void"),
            paid_by_payments.label("paid"),
            *(getattr(Invoice, name).label(f"stored_{name}") for name in STORED),
        )
        .select_from(stage.lines)
        .join(customers, customers.c.code == stage.c.customer_code)
        .outerjoin(Meter, Meter.number == stage.c.meter_number)
        .outerjoin(Invoice, Invoice.number == stage.c.number)
    )


def _apply(stage: Stage) -> Changes:
    """Write the invoices. An amount that follows from units is left to its figure; `_check_result` compares it."""
    wanted = stage.wanted
    decided = case(
        (wanted.c.units.is_not(None), func.coalesce(wanted.c.stored_amount, 0)),
        else_=wanted.c.amount,
    )
    rows = select(wanted.c.number, *(wanted.c[name] for name in FACTS), decided.label("amount"))
    return write(stage, Invoice, rows.where(_is_other(wanted)), "number")


def _check_result(stage: Stage) -> Iterator[Problem]:
    """Check the settled amounts, and that all lines were written."""
    wanted = stage.wanted
    written = at(wanted).join(Invoice, Invoice.number == wanted.c.number)
    is_entered = Invoice.units.is_(None)
    yield from changed_concurrently(
        stage,
        written.where(
            or_(
                *(getattr(Invoice, name).is_distinct_from(wanted.c[name]) for name in FACTS),
                and_(is_entered, Invoice.amount != wanted.c.amount),
            )
        ),
    )
    for column, is_there in (("amount", is_entered), ("units", ~is_entered)):
        yield from stage.problems(
            written.add_columns(wanted.c.paid).where(
                is_there, is_less_than_paid(Invoice.amount, wanted.c.paid, wanted.c.stored_amount)
            ),
            column,
            LessThanPaid.sentence,
        )
    come_to = written.add_columns(
        wanted.c.said_amount.label("said"), Invoice.amount.label("amount")
    )
    yield from stage.problems(
        come_to.where(~is_entered, wanted.c.said_amount != Invoice.amount),
        "amount",
        N_(
            "Here it is %(said)s, but units × rate + fixed charge come to %(amount)s. "
            "Correct one of them, or leave the amount empty."
        ),
    )
    yield from stage.problems(
        come_to.where(Invoice.amount <= 0),
        "units",
        N_("The invoice comes to %(amount)s. It must be more than 0."),
    )


def _totals(stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    amount = select(Invoice.amount).where(Invoice.number == stage.c.number).scalar_subquery()
    return {N_("Amount"): func.sum(amount)}


KIND = ImportKind(
    "invoices", COLUMNS, _check, _apply, _check_result, totals=_totals, creates=creates("number", NUMBER),
    reads=(
        reads("number", Invoice.number), reads("customer_code", Customer.code),
        reads("meter_number", Meter.number),
    ),
)  # fmt: skip
