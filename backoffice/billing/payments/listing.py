"""The list of payments: a row per receipt, its columns and its filters.

A receipt is listed as its first part, which it always has: the values that all parts share are
read there, and only totals and names are read of them all. Files have a row for each part, as an import reads them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flask import url_for
from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import aliased

from ...base import N_, counted
from ...customers.models import Customer
from ...customers.queries import narrowed_to
from ...lists import Choice, Column, Days, List, Search, containing
from ...lists.state import State
from ...web.formats import money_filter
from ..models import Invoice, Meter, Payment
from ..rules import METHODS, POSTED, VOID
from .queries import receipt_total

STATUSES = {POSTED: N_("Posted"), "unmatched": N_("Unmatched"), VOID: N_("Void")}
"""The status of a receipt; unmatched as long as a part of it is on no meter."""

TONES = {POSTED: "good", "unmatched": "warning", VOID: "void"}

_Part = aliased(Payment)
_Another = aliased(Customer)


def _rows(_user: Any) -> Select[Any]:
    return select().select_from(Payment).outerjoin(Payment.customer).where(Payment.part == 1)


def _names(name: Any, joined: Any) -> ColumnElement[Any]:
    """The names of what the parts are booked on, each once."""
    names = (
        select(name.label("name"))
        .select_from(_Part)
        .join(joined)
        .where(_Part.reference == Payment.reference)
        .correlate(Payment)
        .distinct()
        .subquery()
    )
    in_order = aggregate_order_by(literal(", "), names.c.name)
    return select(func.string_agg(names.c.name, in_order)).scalar_subquery()


def _further_customers(value: Any) -> ColumnElement[Any]:
    """The customers of a receipt's further parts other than that of its first part; nearly always none."""
    return (
        select(value)
        .select_from(_Part)
        .join(_Another, _Another.id == _Part.customer_id)
        .where(_Part.reference == Payment.reference, _Part.part > 1)
        .where(_Part.customer_id != Payment.customer_id)
        .correlate(Payment)
        .scalar_subquery()
    )


def _of_all(own: Any, further: Any) -> ColumnElement[Any]:
    """A value of the first customer and of every further one."""
    reported = func.string_agg(further.distinct(), aggregate_order_by(literal("; "), further))
    return func.concat(own, literal("; ") + _further_customers(reported))


def _customers(row: Any) -> str:
    """The first customer of a row, and how many more there are; exports name them all."""
    return f"{row.first_customer} +{row.more_customers}" if row.more_customers else row.customer


def _matches(text: str) -> ColumnElement[bool]:
    """The text occurs in the reference, or in the code or name of any part's customer."""
    customers = select(_Another.id).where(containing(_Another.code, _Another.name)(text))
    further = select(_Part.reference).where(_Part.part > 1, _Part.customer_id.in_(customers))
    return or_(
        containing(Payment.reference)(text),
        Payment.customer_id.in_(customers),
        Payment.reference.in_(further),
    )


def _is_unmatched() -> ColumnElement[bool]:
    """The condition that some part of the receipt is on no meter; it uses the index of unmatched payments."""
    waiting = select(_Part.reference).where(_Part.meter_id.is_(None), _Part.status != VOID)
    return Payment.reference.in_(waiting)


_PARTS: Mapping[str, Callable[[Any, str], ColumnElement[bool]]] = {
    "customer": lambda part, text: part.customer_id.in_(narrowed_to(text)),
    "meter": lambda part, text: part.meter_id.in_(select(Meter.id).where(Meter.number == text)),
    "invoice": lambda part, text: part.invoice_id.in_(
        select(Invoice.id).where(Invoice.number == text)
    ),
}
"""Filter of the list → the condition on a receipt's parts."""


def _has(fits: Callable[[Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    """The condition that a part of the receipt fits."""
    return Payment.reference.in_(select(_Part.reference).where(fits(_Part)))


def has_further_part_of(customer_id: int) -> ColumnElement[bool]:
    """The condition that a further part of the receipt is the customer's."""
    return _has(lambda part: (part.part > 1) & (part.customer_id == customer_id))


def _of(name: str) -> Callable[[str], ColumnElement[bool]]:
    return lambda text: _has(lambda part: _PARTS[name](part, text))


def _first_of(name: str) -> Callable[[Any], str]:
    """A writer of the first name in that column of a row, and how many more there are; exports hold them all."""

    def write(row: Any) -> str:
        first, *more = (getattr(row, name) or "").split(", ")
        return f"{first} +{len(more)}" if more else first

    return write


def _record(row: Any) -> str:
    return url_for("payments.record", reference=row.reference)


def _fits(values: Mapping[str, str]) -> Callable[[Any], ColumnElement[bool]] | None:
    """The condition on the parts that a narrowed list counts; None for all."""
    asked = {name: values[name] for name in _PARTS if name in values}
    return (
        (lambda part: and_(*(_PARTS[name](part, text) for name, text in asked.items())))
        if asked
        else None
    )


MOST_PARTS = 1_000_000


def _parts_for_files(state: State) -> List:
    """The list with a row for each part of a receipt, in their order: of those that the list counts."""
    listing, fits, part = state.listing, _fits(state.values), aliased(Payment)
    customer, meter, invoice = aliased(Customer), aliased(Meter), aliased(Invoice)

    def rows(user: Any) -> Select[Any]:
        found = (
            listing.rows(user)
            .join(part, part.reference == Payment.reference)
            .outerjoin(customer, customer.id == part.customer_id)
            .outerjoin(meter, meter.id == part.meter_id)
            .outerjoin(invoice, invoice.id == part.invoice_id)
        )
        return found.where(fits(part)) if fits else found

    values = {
        "customer": customer.name, "customer_code": customer.code, "meters": meter.number,
        "invoices": invoice.number, "amount": case((part.status == VOID, 0), else_=part.amount),
    }  # fmt: skip
    place = -part.part if state.sort.startswith("-") else part.part
    return replace(
        listing,
        rows=rows,
        key=Payment.id * MOST_PARTS + place,
        columns=[
            replace(column, value=values.get(column.name, column.value), sorted_by=column.order)
            for column in listing.columns
        ],
    )


def _narrowed(values: Mapping[str, str]) -> List:
    """The list narrowed to a customer, meter or invoice: its amounts are those of the parts that fit.

    So its total equals the figure that it explains: what is paid on the meter or invoice, or by the customer.
    """
    fits = _fits(values)
    if fits is None:
        return PAYMENTS
    stated = receipt_total(fits)
    here = {
        "amount": replace(
            PAYMENTS.column("amount"), label=N_("Amount here"), value=_counted(stated)
        ),
        "whole": replace(PAYMENTS.column("whole"), is_shown=True),
    }
    return replace(
        PAYMENTS,
        rows=lambda user: _rows(user).where(_has(fits)),
        columns=[here.get(column.name, column) for column in PAYMENTS.columns],
        also={**PAYMENTS.also, "stated": stated},
    )


def _counted(stated: ColumnElement[Any]) -> ColumnElement[Any]:
    """The amount, 0 if the receipt is void."""
    return case((Payment.status == VOID, 0), else_=stated)


PAYMENTS = List(
    "payments",
    N_("Payments"),
    "payments.index",
    export="payments.export",
    rows=_rows,
    key=Payment.id,
    columns=(
        Column("reference", N_("Reference"), Payment.reference, link=_record, classes="cell-key"),
        Column("paid_on", N_("Paid on"), Payment.paid_on, kind="day", classes="cell-date"),
        Column(
            "customer", N_("Customer"), _of_all(Customer.name, _Another.name), code="customer_code",
            classes="cell-name", write=_customers, sorted_by=Customer.name,
        ),
        Column(
            "customer_code", N_("Customer code"), _of_all(Customer.code, _Another.code),
            is_shown=False, sorted_by=Customer.code,
        ),
        Column("method", N_("Method"), Payment.method, words=METHODS),
        Column(
            "meters", N_("Meters"), _names(Meter.number, _Part.meter),
            is_sortable=False, write=_first_of("meters"),
        ),
        Column(
            "invoices", N_("Invoices"), _names(Invoice.number, _Part.invoice),
            is_sortable=False, write=_first_of("invoices"),
        ),
        Column(
            "status", N_("Status"),
            case((Payment.status == VOID, VOID), (_is_unmatched(), "unmatched"), else_=POSTED),
            words=STATUSES, tones=TONES, is_sortable=False, classes="cell-word",
        ),
        Column(
            "whole", N_("Whole receipt"), receipt_total(),
            kind="money", classes="cell-total", is_shown=False,
        ),
        Column(
            "amount", N_("Amount"), _counted(receipt_total()),
            kind="money", total=True, classes="cell-total",
            write=lambda row: money_filter(row.stated),
        ),
        Column("void_reason", N_("Reason"), Payment.void_reason, is_shown=False),
        Column("created_at", N_("Recorded"), Payment.created_at, kind="moment", is_shown=False),
    ),
    also={
        "stated": receipt_total(),
        "first_customer": Customer.name,
        "more_customers": _further_customers(func.count(_Part.customer_id.distinct())),
    },
    filters=(
        Search(
            "q", N_("Search"), _matches,
            placeholder=N_("Reference or customer"),
        ),
        Choice.of("method", N_("Method"), Payment.method, METHODS),
        Choice(
            "status", N_("Status"),
            {
                POSTED: (STATUSES[POSTED], (Payment.status != VOID) & ~_is_unmatched()),
                "unmatched": (STATUSES["unmatched"], _is_unmatched()),
                VOID: (STATUSES[VOID], Payment.status == VOID),
            },
        ),
        Days("since", "until", N_("Paid from"), N_("to"), Payment.paid_on),
        Search("customer", N_("Customer"), _of("customer"), is_quiet=True),
        Search("meter", N_("Meter"), _of("meter"), is_quiet=True),
        Search("invoice", N_("Invoice"), _of("invoice"), is_quiet=True),
    ),
    narrowed=_narrowed,
    for_files=_parts_for_files,
    default_sort="-paid_on",
    counted=counted("%(num)s payment", "%(num)s payments"),
    new=("payments.new", N_("Record a payment")),
    nothing_yet=(N_("No payments yet"), N_("Payments are recorded here, or come with the import.")),
    nothing_fits=(
        N_("No payment fits that"),
        N_("Take something out of the filter, or search for a part of the reference."),
    ),
    classes="payments-table",
)  # fmt: skip
