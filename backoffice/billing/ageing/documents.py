"""The documents behind an amount of the ageing: those that were still open on its day."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Response, request, url_for
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Select, case, exists, func, literal, select

from ... import lists
from ...base import N_, counted
from ...base.periods import today
from ...customers.listing import customer_columns
from ...customers.models import Customer
from ...customers.queries import reached_from
from ...lists import AsOf, Choice, Column, List, Search, containing, text_in
from ...lists.filters import Filter
from ...security.permissions import requires
from ...web.formats import day_filter
from ..meters.documents import record_url
from ..models import Invoice, Meter, MeterAdjustment, MeterAssignment
from ..statements import queries as statements
from ..views import bp
from .queries import BUCKETS, documents_owed, is_overdue_by

AS_OF = AsOf("as_of", N_("As of"), today)

KINDS = {kind: statements.KINDS[kind] for kind in ("invoice", "adjustment")}

Row = Any


@bp.get("/ageing/documents")
@requires("billing.read")
def ageing_documents() -> Response:
    """The documents that make up an amount of the ageing, as of the same day."""
    day = AS_OF.day(request.args)
    said = _(
        "What was owed at the end of %(day)s. Whatever was paid or forgiven without naming an invoice "
        "has paid the oldest of its meter.",
        day=day_filter(day),
    )
    return lists.show(
        _listing(request.args), "billing/ageing_documents.html", said=said, day=day, today=today()
    )


def _of_customer(code: str) -> Select[int]:
    """The meters actively assigned to the customer now, whichever customer their documents name."""
    is_theirs = MeterAssignment.customer_id.in_(reached_from(code))
    return select(MeterAssignment.meter_id).where(is_theirs, MeterAssignment.is_active)


def _of_number(number: str) -> Select[int]:
    return select(Meter.id).where(Meter.number == number)


def _unassigned() -> Select[int]:
    """The meters without an active assignment."""
    is_assigned = exists().where(MeterAssignment.meter_id == Meter.id, MeterAssignment.is_active)
    return select(Meter.id).where(~is_assigned)


def _meters(given: Mapping[str, str]) -> Select[int] | None:
    """The meters that the URL selects, so that only their documents are read; None: all."""
    if number := text_in(given, "meter"):
        return _of_number(number)
    if code := text_in(given, "customer"):
        return _of_customer(code)
    return _unassigned() if given.get("owner") == "unassigned" else None


def _listing(given: Mapping[str, str]) -> List:
    """The list that the URL selects."""
    day = AS_OF.day(given)
    owed = documents_owed(day, _meters(given))
    is_owner = (MeterAssignment.meter_id == owed.c.meter_id) & MeterAssignment.is_active
    rows = (
        select()
        .select_from(owed)
        .join(Meter, Meter.id == owed.c.meter_id)
        .outerjoin(Invoice, Invoice.id == owed.c.invoice_id)
        .outerjoin(MeterAdjustment, MeterAdjustment.id == owed.c.adjustment_id)
        .outerjoin(MeterAssignment, is_owner)
        .outerjoin(Customer, Customer.id == MeterAssignment.customer_id)
    )
    number = func.coalesce(Invoice.number, MeterAdjustment.number)
    return List(
        "ageing-documents",
        N_("Documents behind the ageing"),
        "billing.ageing_documents",
        export="billing.export_ageing_documents",
        rows=lambda _user: rows,
        key=owed.c.position,
        columns=_columns(owed, number, day),
        filters=_filters(owed, number, day),
        default_sort="due_on",
        counted=counted("%(num)s document", "%(num)s documents"),
        is_computed=True,
        nothing_yet=(N_("Nothing is owed"), N_("No meter has a balance on this day.")),
        nothing_fits=(N_("Nothing fits that"), N_("Take something out of the filter, or choose another day.")),
    )  # fmt: skip


lists.add_export(
    bp,
    "/ageing/documents/export.<flavour>",
    "export_ageing_documents",
    "billing.read",
    lambda: _listing(request.args),
)


def _filters(owed: Any, number: ColumnElement[Any], day: date) -> tuple[Filter, ...]:
    overdue = {b.name: (b.label, is_overdue_by(b, owed.c.due_on, day)) for b in BUCKETS}
    unassigned = {
        "unassigned": (N_("Meters without a customer"), owed.c.meter_id.in_(_unassigned()))
    }
    return (
        Search(
            "q", N_("Search"), containing(number, Meter.number, Customer.code, Customer.name),
            placeholder=N_("Number, customer or meter"),
        ),
        AS_OF,
        Choice("overdue", N_("Overdue"), overdue),
        Search("customer", N_("Customer"), _is_in(_of_customer, owed), is_quiet=True),
        Search("meter", N_("Meter"), _is_in(_of_number, owed), is_quiet=True),
        Choice("owner", N_("Customer"), unassigned, is_quiet=True),
    )  # fmt: skip


def _columns(owed: Any, number: ColumnElement[Any], day: date) -> tuple[Column, ...]:
    days = case((func.isfinite(owed.c.due_on), literal(day) - owed.c.due_on))
    return (
        Column("number", N_("Number"), number, link=_record, classes="cell-key"),
        Column("kind", N_("Document"), _kind(owed), words=KINDS),
        Column("meter", N_("Meter"), Meter.number, classes="cell-key"),
        *customer_columns("code", empty=N_("No customer")),
        Column(
            "day", N_("Issued"), func.coalesce(Invoice.issued_on, MeterAdjustment.adjusted_on),
            kind="day", classes="cell-date",
        ),
        Column("due_on", N_("Due"), owed.c.due_on, kind="day", classes="cell-date"),
        Column("days", N_("Days overdue"), func.greatest(days, 0), kind="number"),
        Column(
            "amount", N_("Amount"), func.coalesce(Invoice.amount, MeterAdjustment.amount),
            kind="money", total=True,
        ),
        Column("owed", N_("Still owed"), owed.c.owed, kind="money", total=True, classes="cell-total"),
    )  # fmt: skip


def _kind(owed: Any) -> ColumnElement[str]:
    return case((owed.c.invoice_id.is_not(None), "invoice"), else_="adjustment")


def _is_in(meters: Any, owed: Any) -> Any:
    return lambda text: owed.c.meter_id.in_(meters(text))


def _record(row: Row) -> str | None:
    return record_url(statements.TABLES[row.kind], row.number)


def documents_url(day: date, **of: Any) -> str:
    """The URL of the list of documents that were still open on `day`."""
    past: dict[str, Any] = {} if day == today() else {"as_of": day.isoformat()}
    return url_for("billing.ageing_documents", **past, **of)
