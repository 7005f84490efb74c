"""Search of billing: invoices, receipts and meters, by number or by customer."""

from typing import Any

from flask import url_for

from ..base import N_
from ..customers.finding import owners
from ..lists.finding import beginning, belonging_to, called, kind_of, owned_by, status_in
from ..search.search_results import SearchResult
from ..web.formats import day_filter, money_filter
from .invoices.listing import INVOICES
from .meters.listing import METERS
from .models import Invoice, Meter, MeterAssignment, Payment
from .payments.listing import PAYMENTS, has_further_part_of


def _invoice(row: Any) -> SearchResult:
    return SearchResult(
        row.number,
        url_for("invoices.record", number=row.number),
        (row.customer, day_filter(row.issued_on), money_filter(row.stated, symbol=True)),
        **status_in(INVOICES, "word", row),
    )


def _payment(row: Any) -> SearchResult:
    return SearchResult(
        row.reference,
        url_for("payments.record", reference=row.reference),
        (row.customer, day_filter(row.paid_on), money_filter(row.stated, symbol=True)),
        **status_in(PAYMENTS, "status", row),
    )


def _meter(row: Any) -> SearchResult:
    return SearchResult(
        row.number,
        url_for("meters.record", number=row.number),
        list(filter(None, (row.customer, row.description))),
        **status_in(METERS, "state", row),
    )


FINDABLE = (
    kind_of(
        "invoices",
        N_("Invoices"),
        "invoices.index",
        lambda _user: INVOICES,
        rank=3,
        ways=(
            called(Invoice.number),
            beginning(Invoice.number),
            owned_by(Invoice.customer_id, owners),
        ),
        reads=("number", "customer", "issued_on", "word"),
        place=_invoice,
    ),
    kind_of(
        "payments",
        N_("Payments"),
        "payments.index",
        lambda _user: PAYMENTS,
        rank=4,
        ways=(
            called(Payment.reference),
            beginning(Payment.reference),
            owned_by(Payment.customer_id, owners),
            belonging_to(has_further_part_of, owners),
        ),
        reads=("reference", "customer", "paid_on", "status"),
        place=_payment,
    ),
    kind_of(
        "meters",
        N_("Meters"),
        "meters.index",
        lambda _user: METERS,
        rank=5,
        ways=(
            called(Meter.number),
            beginning(Meter.number),
            owned_by(MeterAssignment.customer_id, owners),
        ),
        reads=("number", "customer", "description", "state"),
        place=_meter,
    ),
)
PAGES = (
    (N_("Meters"), "meters.index"),
    (N_("Invoices"), "invoices.index"),
    (N_("Payments"), "payments.index"),
    (N_("Unmatched payments"), "billing.unmatched"),
    (N_("Ageing"), "billing.ageing"),
    (N_("Adjustments"), "adjustments.index"),
    (N_("Recalculation"), "billing.recalculations"),
    (N_("Migration"), "billing.migration"),
    (N_("New meter"), "meters.new"),
    (N_("New invoice"), "invoices.new"),
    (N_("Record a payment"), "payments.new"),
)
