"""The ageing on a screen and as a file: by customer or by meter, as of a day."""

from collections.abc import Callable
from datetime import date
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _
from sqlalchemy import Select, Subquery, func, select, true
from sqlalchemy.orm import aliased

from ... import lists
from ...app.extensions import db
from ...base import N_, counted, periods
from ...customers.listing import customer_columns
from ...customers.models import Customer
from ...drift import figure_status
from ...lists import Choice, Column, List, Search, containing
from ...web.formats import day_filter, money_filter
from ..figures import BILLING_FIGURES, customer_balance
from ..models import Invoice, Meter, MeterAssignment
from ..views import bp
from .documents import AS_OF, documents_url
from .queries import (
    BUCKETS,
    Bucket,
    ageing_by_customer,
    ageing_by_meter,
    tie_out_on,
)

BY = Choice("by", N_("By"), {"meter": (N_("Meter"), true())}, any_label=N_("Customer"))

Row = Any

OwnerOf = Callable[[Row], dict[str, str]]
"""The URL arguments that identify a row: a customer, a meter, or the meters without a customer."""


def _tie_out() -> dict[str, str]:
    """A sentence that compares what is owed on the day with the stored balances; it states only what was tested."""
    session, day = db.session(), AS_OF.day(request.args)
    tie = tie_out_on(session, day)
    said = _(
        "On %(day)s %(owed)s is owed on all meters.",
        day=day_filter(day),
        owed=money_filter(tie.aged, symbol=True),
    )
    stored = money_filter(tie.stored, symbol=True)
    if not tie.holds or figure_status.is_doubted(session, BILLING_FIGURES):
        doubt = _(
            "The stored balances of the meters come to %(stored)s, and not every stored total of billing is right.",
            stored=stored,
        )
        return {"said": f"{said} {doubt}", "said_href": url_for("drift.index")}
    if tie.owed == tie.stored:
        more = _("That is exactly the sum of the stored balances of the meters.")
    else:
        more = _(
            "With the documents that are dated later it is %(stored)s, the sum of the stored balances of the meters.",
            stored=stored,
        )
    return {"said": f"{said} {more}"}


def _listing() -> List:
    """The list that the URL selects."""
    day = AS_OF.day(request.args)
    return _by_meter(day) if request.args.get("by") == "meter" else _by_customer(day)


lists.add_list(bp, "/ageing", "ageing", "billing.read", _listing, "billing/ageing.html", _tie_out)


def _by_customer(day: date) -> List:
    ages = ageing_by_customer(day)
    meter, theirs = aliased(Meter), aliased(MeterAssignment)
    is_theirs = (theirs.meter_id == meter.id) & theirs.is_active
    return _list_of(
        day,
        ages,
        select(meter.id)
        .outerjoin(theirs, is_theirs)
        .where(func.coalesce(theirs.customer_id, 0) == ages.c.id)
        .correlate(ages),
        select().select_from(ages).outerjoin(Customer, Customer.id == ages.c.id),
        (
            Column(
                "customer", N_("Customer"), Customer.name,
                link=lambda row: _statement(row, day), empty=N_("Meters without a customer"), classes="cell-name",
            ),
            Column("code", N_("Customer code"), Customer.code),
        ),
        lambda row: {"customer": row.code} if row.code else {"owner": "unassigned"},
        counted("%(num)s customer", "%(num)s customers"),
    )  # fmt: skip


def _by_meter(day: date) -> List:
    ages = ageing_by_meter(day)
    is_owner = (MeterAssignment.meter_id == ages.c.id) & MeterAssignment.is_active
    meter = aliased(Meter)
    return _list_of(
        day,
        ages,
        select(meter.id).where(meter.id == ages.c.id).correlate(ages),
        select()
        .select_from(ages)
        .join(Meter, Meter.id == ages.c.id)
        .outerjoin(MeterAssignment, is_owner)
        .outerjoin(Customer, Customer.id == MeterAssignment.customer_id),
        (
            Column(
                "meter", N_("Meter"), Meter.number,
                link=lambda row: _meter_statement(row, day), classes="cell-key",
            ),
            *customer_columns("code", empty=N_("No customer")),
        ),
        lambda row: {"meter": row.meter},
        counted("%(num)s meter", "%(num)s meters"),
    )  # fmt: skip


def _list_of(
    day: date,
    ages: Subquery,
    meters: Select[Any],
    rows: Select[Any],
    of_owner: tuple[Column, ...],
    owner_of: OwnerOf,
    words: tuple[str, str],
) -> List:
    """The columns and filters of both lists. `owner_of` identifies a row in URLs, `meters` selects its meters."""
    invoice = aliased(Invoice)
    invoices = select(invoice.id).where(invoice.meter_id.in_(meters)).correlate(ages)
    stands_on = {
        figure.name: invoices if figure.owner_table.name == Invoice.__tablename__ else meters
        for figure in BILLING_FIGURES
        if figure is not customer_balance
    }
    searched = [column.value for column in of_owner]
    return List(
        "ageing",
        N_("Ageing"),
        "billing.ageing",
        export="billing.export_ageing",
        rows=lambda _user: rows,
        key=ages.c.id,
        columns=(
            *of_owner,
            *(_column(bucket, ages, day, owner_of) for bucket in BUCKETS),
            Column(
                "total", N_("Balance"), ages.c.total,
                kind="money", total=True, classes="cell-total", link=_documents(day, owner_of, "total"),
                stands_on=stands_on,
            ),
        ),
        filters=(
            Search("q", N_("Search"), containing(*searched), placeholder=N_("Customer or meter")),
            AS_OF,
            BY,
        ),
        default_sort="-total",
        counted=words,
        is_computed=True,
        nothing_yet=(N_("Nothing is owed"), N_("No meter has a balance on this day.")),
        nothing_fits=(N_("No customer matches"), N_("Take something out of the filter, or choose another day.")),
        classes="ageing-table",
    )  # fmt: skip


def _column(bucket: Bucket, ages: Subquery, day: date, owner_of: OwnerOf) -> Column:
    link = _documents(day, owner_of, bucket.name, overdue=bucket.name)
    return Column(
        bucket.name, bucket.label, ages.c[bucket.name], kind="money", total=True, link=link
    )


def _documents(day: date, owner_of: OwnerOf, name: str, **more: str) -> Callable[[Row], str | None]:
    """The link from an amount to the documents that make it up; none from zero."""
    return lambda row: documents_url(day, **owner_of(row), **more) if getattr(row, name) else None


def _statement(row: Row, day: date) -> str | None:
    return url_for("billing.statement", code=row.code, **_up_to(day)) if row.code else None


def _meter_statement(row: Row, day: date) -> str:
    return url_for("billing.meter_statement", number=row.meter, **_up_to(day))


def _up_to(day: date) -> dict[str, Any]:
    """The period of a statement that ends on `day`; today's includes what is dated later."""
    return {"period": "all"} if day == periods.today() else {"until": day.isoformat()}
