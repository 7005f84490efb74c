"""The screens of targets: the list, a year by month, and the declared pages of one month."""

from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from .. import lists
from ..app.extensions import db
from ..base import periods
from ..base.codes import month_code
from ..base.identifiers import whole_number
from ..base.periods import Month
from ..people.models import User
from ..records.listing import row_named
from ..records.screens import Screens
from ..security.permissions import requires
from ..web.charts import Chart, Point, bar_chart
from ..web.formats import money_filter, month_filter, percent_filter
from ..web.forms import month_or_404
from ..web.htmx import hx_redirect, render
from ..web.paging import PAGE_SIZE, Page, page_number
from . import queries
from .listing import TARGETS, orders_of
from .marking import doubted
from .models import AccountManagerTarget
from .queries import MonthSum, Year
from .records import TARGET_OF_MONTH

bp = Blueprint("targets", __name__, url_prefix="/targets")


def manager_or_404(manager_id: int) -> User:
    """The account manager, if the current user may see them; otherwise 404."""
    return queries.manager_of(db.session(), current_user, manager_id) or abort(404)


def year_or_404(year: int) -> int:
    """The year, if it can have targets; otherwise 404."""
    return year if queries.EARLIEST <= year <= queries.LATEST else abort(404)


@bp.get("/years/<int:year>")
@requires("targets.read")
def year(year: int) -> Response:
    """A year of all account managers who are visible to the user; with `manager`, redirect to that manager's year."""
    year_or_404(year)
    chosen = whole_number(request.args.get("manager"))
    if chosen >= 0:
        return hx_redirect(url_for("targets.manager_year", year=year, manager_id=chosen))
    people = queries.managers(db.session(), current_user)
    number = min(page_number(request.args.get("page")), max(1, -(-len(people) // PAGE_SIZE)))
    rows = queries.managers_of_year(
        db.session(), current_user, year, limit=PAGE_SIZE, offset=(number - 1) * PAGE_SIZE
    )
    page = Page(rows, number, PAGE_SIZE, len(people))
    return _year_page(year, None, people, page=page)


@bp.get("/years/<int:year>/<int:manager_id>")
@requires("targets.read")
def manager_year(year: int, manager_id: int) -> Response:
    """A year of one account manager."""
    manager = manager_or_404(manager_id)
    people = queries.managers(db.session(), current_user)
    return _year_page(year_or_404(year), manager, people)


def _year_page(year: int, manager: User | None, people: Any, **context: Any) -> Response:
    manager_id = manager.id if manager else None
    shown = queries.year_of(db.session(), current_user, year, manager_id)
    return render(
        "targets/year.html",
        shown=shown,
        manager=manager,
        people=people,
        chart=_chart(shown, manager_id),
        doubted=doubted(db.session(), current_user, year, manager_id),
        orders_of=partial(orders_of, manager_id),
        orders_of_manager=orders_of,
        first=Month(year, 1),
        last=Month(year, 12),
        EARLIEST=queries.EARLIEST,
        LATEST=queries.LATEST,
        **context,
    )


def _chart(shown: Year, manager_id: int | None) -> Chart:
    return bar_chart(
        [
            Point(
                label=month_filter(month.month.first, "LLL"),
                title=_in_words(month),
                value=month.achieved,
                mark=month.target,
                href=orders_of(manager_id, month.month, month.month) if month.orders_closed else "",
            )
            for month in shown.months
        ]
    )


def _in_words(month: MonthSum) -> str:
    """The text of a bar."""
    name = month_filter(month.month.first)
    amount = money_filter(month.achieved, symbol=True)
    if month.target is None:
        return str(_("%(month)s: %(amount)s achieved, no target", month=name, amount=amount))
    return str(
        _(
            "%(month)s: %(amount)s achieved of %(target)s %(percent)s",
            month=name,
            amount=amount,
            target=money_filter(month.target, symbol=True),
            percent=f"({percent_filter(month.attainment)})" if month.attainment is not None else "",
        )
    ).strip()


def _usual_year() -> int:
    """This year, or the latest one with targets or closed orders."""
    this, years = periods.today().year, queries.years(db.session(), current_user)
    return years[-1] if years and years[-1] < this else this


# One month


@bp.get("/<path:code>")
@requires("targets.read")
def record(code: str) -> Response:
    """One month of an account manager: the target, and what was achieved. The month may have no row yet."""
    row = row_named(db.session(), TARGET_OF_MONTH, current_user, code)
    if row is not None:
        return screens.shown(row)
    number, _slash, month = code.partition("/")
    manager, chosen = manager_or_404(whole_number(number)), month_or_404(month)
    year_or_404(chosen.year)
    empty = AccountManagerTarget(account_manager=manager, month=chosen.first)
    return render(
        "targets/nothing.html", record=TARGET_OF_MONTH, row=empty, tab="", **_head(manager, chosen)
    )


def _head(manager: User, month: Month) -> dict[str, Any]:
    """The context of the head of a month's pages."""
    shown = queries.year_of(db.session(), current_user, month.year, manager.id)
    return {
        "manager": manager,
        "month": month,
        "month_code": partial(month_code, manager.id),
        "shown": shown.months[month.month - 1],
        "orders_href": orders_of(manager.id, month, month),
        "EARLIEST": queries.EARLIEST,
        "LATEST": queries.LATEST,
    }


def _orders_behind(row: AccountManagerTarget, _column: str) -> str:
    month = Month.of(row.month)
    return orders_of(row.account_manager_id, month, month)


screens = Screens(
    TARGET_OF_MONTH,
    frame="targets/month.html",
    head=lambda row: _head(row.account_manager, Month.of(row.month)),
    rows_at=_orders_behind,
)
screens.add_to(bp, without=("index", "record"))


@bp.get("")
@requires("targets.read")
def index() -> Response:
    """The months of all managers that match the filter, with their totals."""
    return lists.show(TARGETS, "targets/index.html", this_year=_usual_year())
