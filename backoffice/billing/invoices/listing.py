"""The list of invoices: its columns, its filters, and the way on from every row."""

from typing import Any

from flask import url_for
from sqlalchemy import ColumnElement, Select, case, exists, func, or_, select
from sqlalchemy.orm import aliased

from ...base import N_, counted
from ...customers.models import Customer
from ...lists import Choice, Column, Days, List, Search, containing
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


def _rows(_user: Any) -> Select[Any]:
    return select().select_from(Invoice).outerjoin(Invoice.customer).outerjoin(Invoice.meter)


def _of_customer(text: str) -> ColumnElement[bool]:
    """The customer of that code alone, so that a link shows exactly their invoices; else by name."""
    has_code = func.lower(Customer.code) == text.lower()
    is_code = exists().where(func.lower(aliased(Customer).code) == text.lower())
    named = or_(has_code, containing(Customer.name)(text) & ~is_code)
    return Invoice.customer_id.in_(select(Customer.id).where(named))


def _of_meter(text: str) -> ColumnElement[bool]:
    return Invoice.meter_id.in_(select(Meter.id).where(Meter.number == text))


def _found(text: str) -> ColumnElement[bool]:
    """The number, the customer's code or name, or the meter's number holds the text.

    Customers and meters are looked up by themselves, for they are few beside the invoices, which are
    then read without joining all of them first.
    """
    customers = select(Customer.id).where(containing(Customer.code, Customer.name)(text))
    meters = select(Meter.id).where(containing(Meter.number)(text))
    return or_(
        containing(Invoice.number)(text),
        Invoice.customer_id.in_(customers),
        Invoice.meter_id.in_(meters),
    )


def _counted(amount: Any) -> ColumnElement[Any]:
    """The amount as it counts: a void invoice is nothing."""
    return case((Invoice.status == VOID, 0), else_=amount)


def _record(row: Any) -> str:
    return url_for("billing.invoice", number=row.number)


INVOICES = List(
    "invoices",
    N_("Invoices"),
    "billing.invoices",
    export="billing.export_invoices",
    rows=_rows,
    key=Invoice.id,
    columns=(
        Column("number", N_("Number"), Invoice.number, link=_record, classes="cell-key"),
        Column("customer", N_("Customer"), Customer.name, classes="cell-name"),
        Column("customer_code", N_("Customer code"), Customer.code, is_shown=False),
        Column("meter", N_("Meter"), Meter.number, empty=N_("No meter"), classes="cell-key cell-part"),
        Column("issued_on", N_("Issued"), Invoice.issued_on, kind="day", classes="cell-date cell-part"),
        Column("due_on", N_("Due"), Invoice.due_on, kind="day", classes="cell-date cell-told"),
        Column(
            "word", N_("Status"), word_column(),
            words=LABELS_OF_WORDS, tones=TONES_OF_WORDS, is_sortable=False, classes="cell-word",
        ),
        Column("units", N_("Units"), Invoice.units, kind="quantity", is_shown=False),
        Column("rate", N_("Rate"), Invoice.rate, kind="unit_price", is_shown=False),
        Column("fixed_charge", N_("Fixed charge"), Invoice.fixed_charge, kind="money", is_shown=False),
        Column(
            "amount", N_("Amount"), _counted(Invoice.amount),
            kind="money", total=True, write=lambda row: money_filter(row.stated), classes="cell-lead",
        ),
        Column(
            "paid", N_("Paid"), _counted(Invoice.paid), kind="money", total=True, classes="cell-part"
        ),
        Column(
            "open", N_("Outstanding"), _counted(Invoice.open),
            kind="money", total=True, classes="cell-total cell-told",
        ),
        Column("void_reason", N_("Reason"), Invoice.void_reason, is_shown=False),
        Column("updated_at", N_("Last change"), Invoice.updated_at, kind="moment", is_shown=False),
    ),
    also={"stated": Invoice.amount},
    filters=(
        Search(
            "q", N_("Search"), _found,
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
        Search("customer", N_("Customer"), _of_customer, is_quiet=True),
        Search("meter", N_("Meter"), _of_meter, is_quiet=True),
    ),
    default_sort="-issued_on",
    counted=counted("%(num)s invoice", "%(num)s invoices"),
    new=("billing.new_invoice", N_("New invoice")),
    nothing_yet=(N_("No invoices yet"), N_("Invoices are entered here, or come with the import.")),
    nothing_fits=(
        N_("No invoice fits that"),
        N_("Take something out of the filter, or search for a part of the number."),
    ),
    classes="invoices-table compact",
)  # fmt: skip
