"""The list of invoices: its columns, including those of further fields, and its filters."""

from typing import Any

from flask import url_for
from sqlalchemy import ColumnElement, Select, case, or_, select

from ...base import N_, counted
from ...customers.listing import customer_columns, of_customer
from ...customers.models import Customer
from ...lists import Choice, Column, Days, List, Search, containing
from ...records import Text
from ...records.listing import column_of
from ...web.formats import money_filter
from ..models import Invoice, Meter
from ..rules import POSTED, VOID
from ..wording import (
    INVOICE_WORDS,
    LABELS_OF_WORDS,
    TONES_OF_WORDS,
    is_called,
    word_column,
)
from .fields import FIELDS, PLACED

BY_NAME = {field.name: field for field in FIELDS}


def _rows(_user: Any) -> Select[Any]:
    return select().select_from(Invoice).outerjoin(Invoice.customer).outerjoin(Invoice.meter)


def _of_meter(text: str) -> ColumnElement[bool]:
    return Invoice.meter_id.in_(select(Meter.id).where(Meter.number == text))


def _matches(text: str) -> ColumnElement[bool]:
    """The text occurs in a text of the invoice, the customer's code or name, or the meter's number.

    Customers and meters, which are few, are looked up by themselves, so that the invoices are read
    without joining all of them first.
    """
    customers = select(Customer.id).where(containing(Customer.code, Customer.name)(text))
    meters = select(Meter.id).where(containing(Meter.number)(text))
    return or_(
        containing(*(field.column for field in FIELDS if isinstance(field, Text)))(text),
        Invoice.customer_id.in_(customers),
        Invoice.meter_id.in_(meters),
    )


def _counted(amount: Any) -> ColumnElement[Any]:
    """The amount, 0 if the invoice is void."""
    return case((Invoice.status == VOID, 0), else_=amount)


def _record(row: Any) -> str:
    return url_for("invoices.record", number=row.number)


INVOICES = List(
    "invoices",
    N_("Invoices"),
    "invoices.index",
    export="invoices.export",
    rows=_rows,
    key=Invoice.id,
    columns=(
        column_of(BY_NAME["number"], label=N_("Number"), link=_record, classes="cell-key"),
        *customer_columns(),
        Column("meter", N_("Meter"), Meter.number, empty=N_("No meter"), classes="cell-key cell-part"),
        column_of(BY_NAME["issued_on"], classes="cell-date cell-part"),
        column_of(BY_NAME["due_on"], classes="cell-date cell-detail"),
        *(column_of(field, classes="cell-part") for field in FIELDS if field.name not in PLACED),
        Column(
            "word", N_("Status"), word_column(),
            words=LABELS_OF_WORDS, tones=TONES_OF_WORDS, is_sortable=False, classes="cell-word",
        ),
        *(column_of(BY_NAME[name], is_shown=False) for name in ("units", "rate", "fixed_charge")),
        Column(
            "amount", N_("Amount"), _counted(Invoice.amount),
            kind="money", total=True, write=lambda row: money_filter(row.stated), classes="cell-lead",
        ),
        Column(
            "paid", N_("Paid"), _counted(Invoice.paid), kind="money", total=True, classes="cell-part"
        ),
        Column(
            "open", N_("Outstanding"), _counted(Invoice.open),
            kind="money", total=True, classes="cell-total cell-detail",
        ),
        Column("void_reason", N_("Reason"), Invoice.void_reason, is_shown=False),
        Column("updated_at", N_("Last change"), Invoice.updated_at, kind="moment", is_shown=False),
    ),
    also={"stated": Invoice.amount},
    filters=(
        Search(
            "q", N_("Search"), _matches,
            placeholder=N_("Number, customer or meter"),
        ),
        Choice(
            "status", N_("Status"),
            {
                "unpaid": (N_("Not fully paid"), Invoice.is_open.expression),
                **{word.name: (word.label, is_called(word.name)) for word in INVOICE_WORDS},
            },
        ),
        Days("since", "until", N_("Issued from"), N_("to"), Invoice.issued_on),
        Choice(
            "without", N_("Missing"),
            {"meter": (N_("Without a meter"), Invoice.meter_id.is_(None) & (Invoice.status == POSTED))},
        ),
        of_customer(Invoice.customer_id.in_),
        Search("meter", N_("Meter"), _of_meter, is_quiet=True),
    ),
    default_sort="-issued_on",
    counted=counted("%(num)s invoice", "%(num)s invoices"),
    new=("invoices.new", N_("New invoice")),
    nothing_yet=(N_("No invoices yet"), N_("Invoices are entered here, or come with the import.")),
    nothing_fits=(
        N_("No invoice fits that"),
        N_("Take something out of the filter, or search for a part of the number."),
    ),
    classes="invoices-table compact",
)  # fmt: skip
