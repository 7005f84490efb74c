"""`import payments`: created and updated by reference.

Lines with the same reference are one receipt: the first line is its part 1, and so on. Meter and
invoice may be empty, and stay so: the backfill matches payments later. An empty cell keeps the
stored value, so that the same file again removes no meter. A void payment may be repeated, but not
changed; so may one that was replaced since by another of its reference, which a file cannot change
either.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    Integer,
    Numeric,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from ...base import N_, periods
from ...base.refusals import StillToCome
from ...billing.models import Invoice, Meter, Payment
from ...billing.payments.actions import void_reference
from ...billing.payments.fields import REFERENCE
from ...billing.payments.refusals import OverAllocated
from ...billing.queries import paid_by_payments
from ...billing.rules import METHODS, NUMBER_LENGTH, VOID, takes_less
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

FACTS = ("customer_id", "meter_id", "invoice_id", "method", "paid_on", "amount")
"""The columns of a payment that a line sets, beside its reference."""

REPLACED = void_reference("", 1)
"""The suffix in the reference of the first void receipt that gave it up."""

COLUMNS = (
    ImportColumn("reference", number, Text()),
    ImportColumn("customer_code", cells.text(CODE_LENGTH), Text()),
    ImportColumn("meter_number", cells.text(NUMBER_LENGTH), Text(), may_be_empty=True),
    ImportColumn("invoice_number", cells.text(NUMBER_LENGTH), Text(), may_be_empty=True),
    ImportColumn("paid_on", cells.day, Date()),
    ImportColumn("amount", cells.amount, Numeric(15, 2)),
    ImportColumn("method", cells.one_of(METHODS), Text(), required=False, may_be_empty=True),
)


def _check(stage: Stage) -> Iterator[Problem]:
    _lock(stage)
    lines = _wanted(stage).subquery()
    wanted = stage.lay_out(select(lines).where(~lines.c.is_of_replaced))
    yield from nothing(stage, wanted)
    yield from unknown_customers(stage)
    yield from unknown_meters(stage)
    yield from stage.problems(
        stage.unknown("invoice_number", Invoice.number.expression),
        "invoice_number",
        N_("There is no invoice %(value)s. Import the invoices first."),
    )
    yield from _receipts(stage, wanted)
    yield from _changes(stage, wanted)
    yield from stage.problems(
        at(wanted, wanted.c.invoice_number.label("value")).where(
            wanted.c.stored_id.is_(None), wanted.c.is_of_void
        ),
        "invoice_number",
        N_("Invoice %(value)s is void. Name another one, or none."),
    )
    yield from _of_another_meter(stage, wanted)
    yield from _too_much(stage, wanted)


def _lock(stage: Stage) -> None:
    """Lock the invoices that these receipts leave or enter, and then the stored receipts.

    All writers lock in this order. If a receipt moved while this waited for it, its invoices are locked
    after it; a deadlock from that is rolled back, and the import retried.
    """
    named = select(Invoice.id).join(stage.lines, stage.c.invoice_number == Invoice.number)
    own = stage.c.reference == Payment.reference
    left = select(Payment.invoice_id).join(stage.lines, own).where(Payment.invoice_id.is_not(None))
    lock(stage, named.union(left), Invoice)
    lock(stage, select(Payment.id).join(stage.lines, own), Payment)
    lock(stage, left, Invoice)


def _is_other(wanted: Any) -> ColumnElement[bool]:
    """Whether a line differs from what is stored."""
    return or_(*(wanted.c[name].is_distinct_from(wanted.c[f"stored_{name}"]) for name in FACTS))


def _changes(stage: Stage, wanted: Any) -> Iterator[Problem]:
    """Problems of lines that change what a file may only repeat."""
    is_other = _is_other(wanted)
    yield from changes_of_void(stage, wanted, is_other)
    changed = at(wanted).where(is_other)
    yield from stage.problems(
        changed.where(wanted.c.is_replacement, ~wanted.c.is_void),
        "",
        N_(
            "This payment was recorded here in place of a void one, and a file cannot change it. "
            "Leave this line out."
        ),
    )
    yield from stage.problems(
        changed.where(wanted.c.paid_on > periods.today()),
        "paid_on",
        StillToCome.sentence,
    )


def _but_stored(others: Select[Any], wanted: Any) -> Select[Any]:
    """The lines without those that repeat a stored part, since a receipt on screen may be of several customers."""
    other = others.order_by(None).subquery().c
    is_stored = select(wanted.c.n).where(
        wanted.c.file == other.file, wanted.c.line == other.line,
        wanted.c.customer_id == wanted.c.stored_customer_id,
    )  # fmt: skip
    return select(other.file, other.line, other.first).where(~is_stored.exists())


def _receipts(stage: Stage, wanted: Any) -> Iterator[Problem]:
    """Problems of the lines of a receipt in relation to each other."""
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
            others = stage.contradicting(name, within="reference")
            yield from stage.problems(
                _but_stored(others, wanted) if name == "customer_code" else others,
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
    is_replacement = (
        select(Payment.id).where(Payment.reference == lines.c.reference + REPLACED).exists()
    )
    yield from stage.problems(
        at(lines, stored.c.parts, lines.c.lines)
        .join(stored, stored.c.reference == lines.c.reference)
        .where(lines.c.part == 1, stored.c.parts > lines.c.lines, ~is_replacement),
        "reference",
        N_(
            "This receipt has %(parts)s parts, but %(lines)s in the files. "
            "Put all of them there, or leave it out."
        ),
    )


def _of_another_meter(stage: Stage, wanted: Any) -> Iterator[Problem]:
    """Problems of lines with another meter than their invoice's; stored ones may be repeated."""
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


def _too_much(stage: Stage, wanted: Any) -> Iterator[Problem]:
    """Problems of lines that change a receipt so that more than is open is on their invoice.

    A new receipt is imported as it is: in a book from elsewhere an invoice may be overpaid.
    """
    sums = [
        select(
            wanted.c[f"{prefix}invoice_id"], func.sum(wanted.c[f"{prefix}amount"]).label("amount")
        )
        .where(~wanted.c.is_void)
        .group_by(wanted.c[f"{prefix}invoice_id"])
        .subquery()
        for prefix in ("", "stored_")
    ]
    brought, had = sums
    own = func.coalesce(had.c.amount, 0)
    still_open = Invoice.open_after(paid_by_payments)
    more = or_(
        wanted.c.invoice_id.is_distinct_from(wanted.c.stored_invoice_id),
        wanted.c.amount > wanted.c.stored_amount,
    )
    yield from stage.problems(
        at(wanted, Invoice.number.expression, func.greatest(still_open + own, 0).label("open"))
        .join(Invoice, Invoice.id == wanted.c.invoice_id)
        .join(brought, brought.c.invoice_id == Invoice.id)
        .outerjoin(had, had.c.stored_invoice_id == Invoice.id)
        .where(wanted.c.is_known, more, takes_less(brought.c.amount, still_open, own)),
        "amount",
        OverAllocated.sentence,
    )


def _wanted(stage: Stage) -> Select[Any]:
    """The lines, each with the payment that it is to become, and with the stored values.

    Voiding an invoice removes it from its payments; a file that still names it does not restore it.
    `is_of_replaced`: the line repeats a void receipt that gave its reference to another.
    """
    lines, customers, replaced = _numbered(stage), booked_customers(), aliased(Payment)
    invoice_id = func.coalesce(Invoice.id, Payment.invoice_id)
    is_of_void = func.coalesce(Invoice.status == VOID, False)
    named = lines.c.method if stage.has("method") else cast(optional_column(stage, "method"), Text)
    invoice = case((~is_of_void, Invoice.id))
    says = (customers.c.id, Meter.id, invoice, named, lines.c.paid_on, lines.c.amount)
    is_replacement = or_(Payment.replaces_id.is_not(None), replaced.id.is_not(None))
    return (
        select(
            *(lines.c[name] for name in ("n", "file", "line", "reference", "part")),
            customers.c.id.label("customer_id"),
            func.coalesce(Meter.id, Payment.meter_id).label("meter_id"),
            case((is_of_void, Payment.invoice_id), else_=invoice_id).label("invoice_id"),
            lines.c.invoice_number,
            is_of_void.label("is_of_void"),
            func.coalesce(named, Payment.method, "transfer").label("method"),
            lines.c.paid_on,
            func.coalesce(
                said_amount(lines.c.amount, Payment.status == VOID), Payment.amount
            ).label("amount"),
            _of_any_part(lines, Payment.id.is_not(None)).label("is_known"),
            _of_any_part(lines, Payment.status == VOID).label("is_void"),
            _of_any_part(lines, is_replacement).label("is_replacement"),
            and_(replaced.id.is_not(None), *_repeated(replaced, says)).label("is_of_replaced"),
            *(getattr(Payment, name).label(f"stored_{name}") for name in ("id", "version", *FACTS)),
        )
        .select_from(lines)
        .join(customers, customers.c.code == lines.c.customer_code)
        .outerjoin(Meter, Meter.number == lines.c.meter_number)
        .outerjoin(Invoice, Invoice.number == lines.c.invoice_number)
        .outerjoin(
            Payment, and_(Payment.reference == lines.c.reference, Payment.part == lines.c.part)
        )
        .outerjoin(
            replaced,
            and_(replaced.reference == lines.c.reference + REPLACED, replaced.part == lines.c.part),
        )
    )


def _numbered(stage: Stage) -> Subquery:
    """The lines, each with its part number within the receipt."""
    part = func.row_number(type_=Integer).over(partition_by=stage.c.reference, order_by=stage.c.n)
    return select(*stage.c, part.label("part")).subquery("parts")


def _of_any_part(lines: Subquery, holds: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the condition holds for any line of the same receipt."""
    any_part = func.bool_or(holds, type_=Boolean).over(partition_by=lines.c.reference)
    return func.coalesce(any_part, False)


def _repeated(replaced: Any, says: Sequence[Any]) -> Iterator[ColumnElement[bool]]:
    """For each column, whether the line repeats the replaced payment; an empty cell does."""
    for name, value in zip(FACTS, says, strict=True):
        stored = getattr(replaced, name)
        yield func.coalesce(value, stored).is_not_distinct_from(stored)


def _apply(stage: Stage) -> Changes:
    wanted = stage.wanted
    rows = select(*(wanted.c[name] for name in ("reference", "part", *FACTS)))
    return write(stage, Payment, rows.where(_is_other(wanted)), "reference", "part")


def _check_result(stage: Stage) -> Iterator[Problem]:
    """Check that all lines were written."""
    wanted = stage.wanted
    own = and_(Payment.reference == wanted.c.reference, Payment.part == wanted.c.part)
    is_other = or_(*(getattr(Payment, name).is_distinct_from(wanted.c[name]) for name in FACTS))
    yield from changed_concurrently(stage, at(wanted).join(Payment, own).where(is_other))


def _totals(stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    return {N_("Amount"): func.sum(stage.c.amount)}


KIND = ImportKind(
    "payments", COLUMNS, _check, _apply, _check_result, together="reference", totals=_totals,
    creates=creates("reference", REFERENCE),
    reads=(
        reads("reference", Payment.reference), reads("customer_code", Customer.code),
        reads("meter_number", Meter.number), reads("invoice_number", Invoice.number),
    ),
)  # fmt: skip
