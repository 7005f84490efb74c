"""Screens of a customer's gas: the statement, one month with its readings and deposits, and the storage switch."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from flask import Blueprint, Response, abort, flash, url_for
from flask_babel import gettext as _
from sqlalchemy import func, select

from ... import lists
from ...app.extensions import db
from ...approvals.screens import carry_out
from ...base.codes import month_code
from ...base.periods import Month
from ...base.refusals import Refusal
from ...customers.models import Customer
from ...customers.screens import screens as customers
from ...records import forms
from ...security.permissions import requires
from ...web.charts import Chart, Point, bar_chart
from ...web.claims import Claim
from ...web.formats import in_words, money_filter, month_filter, quantity_filter
from ...web.forms import month_or_404
from ...web.htmx import render
from ...web.idempotency import new_key
from .. import queries
from ..approved_verbs import SWITCH
from ..models import Reading
from ..records import DEPOSIT
from .listing import statement_list

CHARTED = 24
"""Months of a chart, the newest ones."""

bp = Blueprint("gas", __name__, url_prefix="/gas")


@bp.get("/customers/<path:code>/statement")
@requires("gas.read")
def statement(code: str) -> Response:
    """Every month of a customer, with the charts of balance and volume."""
    customer = customers.found(code)
    return lists.show(
        statement_list(customer),
        "gas/statement.html",
        deposit_form=forms.empty(DEPOSIT, {"customer": customer.code}),
        **about(customer),
    )


lists.add_export(
    bp,
    "/customers/<path:code>/statement.<flavour>",
    "export_statement",
    "gas.read",
    lambda code: statement_list(customers.found(code)),
)


@bp.get("/customers/<path:code>/months/<month>")
@requires("gas.read")
def month(code: str, month: str) -> Response:
    """The priced readings of a month, and its deposits."""
    customer, asked, session = customers.found(code), month_or_404(month), db.session()
    row = queries.month_row(session, customer, asked) or abort(404)
    return render(
        "gas/month.html",
        customer=customer,
        month=asked,
        row=row,
        code_of_month=month_code(customer.id, asked),
        is_wrong=bool(queries.wrong_when_closed(session, customer.id)),
        lines=queries.priced_readings(session, customer, asked),
        deposits=queries.deposits_of(session, customer, asked),
    )


@bp.post("/customers/<path:code>/realtime/<state>")
@requires("gas.write")
def realtime(code: str, state: str) -> Response:
    """Switch a customer between stored months and months computed on read."""
    if state not in ("on", "off"):
        abort(404)
    customer = customers.found(code)
    claim = Claim(f"gas.realtime {code}"[:200])
    next_url = url_for("gas.statement", code=customer.code)
    message = (
        _("The months of %(name)s are stored again.", name=customer.name)
        if state == "on"
        else _("The months of %(name)s are computed when they are read.", name=customer.name)
    )

    def done(_customer: Any) -> Response:
        flash(message, "success")
        return claim.complete(next_url)

    try:
        asked = {"customer": customer.id, "is_stored": state == "on"}
        return carry_out(SWITCH, asked, claim, done, back=next_url)
    except Refusal as refusal:
        flash(in_words(refusal), "warning")
        return claim.complete(next_url)


def about(customer: Customer) -> dict[str, Any]:
    """The context of the statement and of the customer's page: balance, charts, prices, and unpriced readings."""
    session = db.session()
    months = [
        (Month.parse(row.year_month).first, row)
        for row in queries.statement(session, customer.id)[-CHARTED:]
    ]
    return {
        "customer": customer,
        "balance": queries.balance_of(session, customer.id),
        "months": months,
        "balances": _chart(months, "closing_balance", money_filter),
        "volumes": _chart(months, "total_volume_sm3", quantity_filter),
        "prices": queries.prices_of(session, customer),
        "unpriced": queries.unpriced_of(session, customer),
        "first_read": session.scalar(
            select(func.min(Reading.read_on)).where(Reading.customer_id == customer.id)
        ),
        "is_wrong": bool(queries.wrong_when_closed(session, customer.id)),
        "realtime_key": new_key(),
    }


def _chart(months: Sequence[tuple[date, Any]], name: str, write: Callable[[Any], str]) -> Chart:
    return bar_chart(
        [
            Point(
                label=month_filter(day, "MMM yy"),
                title=f"{month_filter(day)}: {write(getattr(row, name))}",
                value=getattr(row, name),
            )
            for day, row in months
        ]
    )
