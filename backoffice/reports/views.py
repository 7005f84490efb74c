"""The screens of the revenue report: by month, account manager and customer, each number linked to its orders."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from .. import lists
from ..app.extensions import db
from ..base import N_
from ..base.periods import Month
from ..base.refusals import Refusal
from ..customers import queries as customers
from ..security.permissions import requires
from ..web.charts import Chart, Point, bar_chart, share
from ..web.formats import MONTH, money_filter, month_filter, quantity_filter
from ..web.htmx import render
from ..web.paging import PAGE_SIZE, Page, page_number
from . import forms, queries
from .exporting import TITLES, listing_of
from .forms import Asked
from .marking import doubted
from .queries import ReportLine, Table
from .scope import BASES, RULES, ReportScope

bp = Blueprint("reports", __name__, url_prefix="/reports")

OFFERED = 200
"""Customers that the filter offers at once; of more than that, it offers those that match the typed text."""


@bp.get("")
@requires("reports.read")
def index() -> Response:
    """Revenue of a period: every month, the largest account managers and customers, and the others."""
    asked = forms.read(db.session(), current_user, request.args)
    found = queries.summary(db.session(), current_user, asked.scope)
    chart = _chart(asked.scope, found.months)
    return _page("reports/index.html", asked, summary=found, chart=chart)


@bp.get("/<dimension>")
@requires("reports.read")
def of_dimension(dimension: str) -> Response:
    """Every month, account manager or customer, page by page."""
    if dimension not in queries.DIMENSIONS:
        abort(404)
    asked = forms.read(db.session(), current_user, request.args)
    number = page_number(request.args.get("page"))
    found = _lines(asked.scope, dimension, number)
    if not found.lines and number > 1:
        total = queries.count(db.session(), current_user, asked.scope, dimension)
        number = max(1, -(-total // PAGE_SIZE))
        found = _lines(asked.scope, dimension, number)
    page = Page(found.lines, number, PAGE_SIZE, found.count)
    return _page("reports/table.html", asked, table=found, page=page)


def _lines(scope: ReportScope, dimension: str, number: int) -> Table:
    start = (number - 1) * PAGE_SIZE
    return queries.table(
        db.session(), current_user, scope, dimension, limit=PAGE_SIZE, offset=start
    )


class NotReported(Refusal):
    """The address has invalid arguments; unlike a page, a file cannot report them, so none is made."""

    sentence = N_("%(said)s")


@bp.get("/<dimension>/export.<flavour>")
@requires("reports.read")
@lists.limited
def export(dimension: str, flavour: str) -> Response:
    """Every line of one dimension as a file."""
    if dimension not in queries.DIMENSIONS:
        abort(404)
    asked = forms.read(db.session(), current_user, request.args)
    if asked.problems:
        raise NotReported(said=" ".join(asked.problems.values()))
    names = {person.id: person.name for person in asked.managers}
    return lists.export(listing_of(current_user, dimension, asked, names), flavour)


def _page(template: str, asked: Asked, **context: Any) -> Response:
    return render(
        template,
        block="report",
        asked=asked,
        doubted=doubted(db.session(), current_user, asked.scope),
        scope=asked.scope,
        reported=_reported(asked),
        managers=asked.managers,
        offered=customers.search(db.session(), "", limit=OFFERED),
        OFFERED=OFFERED,
        BASES=BASES,
        TITLES=TITLES,
        orders_of=_orders_of,
        report_of=_report_of,
        length_of=share,
        **context,
    )


def _reported(asked: Asked) -> list[str]:
    """The scope in words: the date that counts, the account manager and the customer."""
    names = [person.name for person in asked.managers if person.id == asked.scope.manager_id]
    return [_(RULES[asked.scope.basis]), *names, *([asked.whom] if asked.whom else [])]


def _chart(scope: ReportScope, table: Table) -> Chart:
    names = "LLL" if scope.period.since.year == scope.period.until.year else "LLL yy"
    return bar_chart(
        [
            Point(
                label=month_filter(line.key, names),
                title=_in_words(line),
                value=line.revenue,
                beside=line.before,
                href=_orders_of(scope, "month", line),
            )
            for line in table.lines
        ]
    )


def _in_words(line: ReportLine) -> str:
    """The text of a bar."""
    return str(
        _(
            "%(month)s: %(amount)s, %(orders)s; a year earlier %(before)s",
            month=month_filter(line.key, MONTH),
            amount=money_filter(line.revenue, symbol=True),
            orders=ngettext(
                "%(count)s order",
                "%(count)s orders",
                line.orders,
                count=quantity_filter(line.orders),
            ),
            before=money_filter(line.before, symbol=True),
        )
    )


def _narrowed(scope: ReportScope, dimension: str, line: ReportLine) -> ReportScope:
    """The scope of one line; the whole scope for a total."""
    if line.key is None:
        return scope
    if dimension == "month":
        return scope.within(scope.period.part_in(Month.of(line.key)))
    if dimension == "manager":
        return replace(scope, manager_id=line.key)
    return replace(scope, customer_id=line.key, customer_code=line.code)


def _orders_of(scope: ReportScope, dimension: str, line: ReportLine, before: bool = False) -> str:
    """The address of the list of exactly the orders of a line, or of its orders of the year before."""
    narrowed = _narrowed(scope, dimension, line)
    shown = narrowed.year_before if before else narrowed
    return url_for("orders.index", **shown.as_order_query)


def _report_of(scope: ReportScope, dimension: str, line: ReportLine) -> str:
    """The address of the report of one line alone."""
    return url_for("reports.index", **_narrowed(scope, dimension, line).as_query)
