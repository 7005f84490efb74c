"""The list of adjustments; void ones are struck through and excluded from totals."""

from decimal import Decimal
from typing import Any

from flask import url_for
from markupsafe import Markup
from sqlalchemy import ColumnElement, Select, case, literal, select

from ...base import N_, counted
from ...customers.listing import customer_columns, of_customer, page_of_customer
from ...customers.models import Customer
from ...lists import Choice, Column, Days, List, Search, containing
from ...web.formats import money_filter
from ..models import Meter, MeterAdjustment
from ..rules import VOID
from ..voiding import STATUS_TONES, STATUSES

NOTHING = literal(Decimal("0.00"))
"""The amount that a void document counts as."""


def _rows(_user: Any) -> Select[Any]:
    joined = select().select_from(MeterAdjustment).outerjoin(MeterAdjustment.meter)
    return joined.outerjoin(MeterAdjustment.customer)


def _of_meter(text: str) -> ColumnElement[bool]:
    has_number = select(Meter.id).where(Meter.number == text)
    return MeterAdjustment.meter_id.in_(has_number)


def _written(row: Any) -> str:
    """The amount as text; that of a void adjustment is struck through."""
    if row.status != VOID:
        return money_filter(row.entered)
    return Markup("<del>{}</del>").format(money_filter(row.entered))


def _record(row: Any) -> str:
    return url_for("adjustments.record", number=row.number)


ADJUSTMENTS = List(
    "adjustments",
    N_("Adjustments"),
    "adjustments.index",
    export="adjustments.export",
    rows=_rows,
    key=MeterAdjustment.id,
    columns=(
        Column("number", N_("Number"), MeterAdjustment.number, link=_record, classes="cell-key"),
        Column(
            "adjusted_on", N_("Day"), MeterAdjustment.adjusted_on, kind="day", classes="cell-date"
        ),
        Column(
            "meter",
            N_("Meter"),
            Meter.number,
            link=lambda row: url_for("meters.record", number=row.meter),
            classes="cell-end",
        ),
        *customer_columns(link=page_of_customer),
        Column(
            "reason",
            N_("Reason"),
            MeterAdjustment.reason,
            is_sortable=False,
            classes="cell-wide",
        ),
        Column(
            "status",
            N_("Status"),
            MeterAdjustment.status,
            words=STATUSES,
            tones=STATUS_TONES,
            classes="cell-word",
        ),
        Column(
            "void_reason",
            N_("Why it is void"),
            MeterAdjustment.void_reason,
            is_sortable=False,
            is_shown=False,
        ),
        Column(
            "amount",
            N_("Amount"),
            case((MeterAdjustment.status == VOID, NOTHING), else_=MeterAdjustment.amount),
            kind="money",
            total=True,
            write=_written,
            classes="cell-total cell-lead",
        ),
    ),
    filters=(
        Search(
            "q",
            N_("Search"),
            containing(MeterAdjustment.number, MeterAdjustment.reason, Meter.number, Customer.name),
            placeholder=N_("Number, meter, customer or reason"),
        ),
        Choice.of("status", N_("Status"), MeterAdjustment.status, STATUSES),
        Days("since", "until", N_("From"), N_("to"), MeterAdjustment.adjusted_on),
        of_customer(MeterAdjustment.customer_id.in_),
        Search("meter", N_("Meter"), _of_meter, is_quiet=True),
    ),
    default_sort="-adjusted_on",
    new=("adjustments.new", N_("New adjustment")),
    also={"entered": MeterAdjustment.amount},
    counted=counted("%(num)s adjustment", "%(num)s adjustments"),
    nothing_yet=(
        N_("No adjustments yet"),
        N_("An adjustment is entered on the screen of its meter."),
    ),
    nothing_fits=(
        N_("No adjustment fits that"),
        N_("Take something out of the filter, or search for a part of the number."),
    ),
    classes="adjustments-table compact",
)
