"""The list of orders, and one order's screens: details, history, how a total was calculated."""

from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from .. import figures, lists
from ..app.extensions import db
from ..customers.models import Customer
from ..drift.marks import Marks, marks
from ..figures.explanation import SourceRow, Term
from ..products.rules import SOLD_AS
from ..security.permissions import requires
from ..web.additions import Part
from ..web.htmx import render
from . import history, queries
from .figures import ORDER_FIGURES, components, grand_total, line_amount
from .listing import ORDERS, orders_of
from .models import COMPONENT_OF_KIND, Order, OrderLine
from .wording import Wording

bp = Blueprint("orders", __name__, url_prefix="/orders")


def order_or_404(number: str) -> Order:
    """The order, if the present user may see it; somebody else's does not exist for them."""
    return queries.order_of(db.session(), current_user, number) or abort(404)


@bp.get("")
@requires("orders.read")
def index() -> AnyResponse:
    """The orders that the filter leaves in, with their totals."""
    return lists.show(ORDERS)


@bp.get("/export.<flavour>")
@requires("orders.read")
@lists.limited
def export(flavour: str) -> AnyResponse:
    """The orders that the filter leaves in, as a file."""
    return lists.export(ORDERS, flavour)


@bp.get("/<path:number>")
@requires("orders.read")
def record(number: str) -> Response:
    """One order: what was entered, how its totals come about, and the way on through the list."""
    order, state = order_or_404(number), lists.asked(ORDERS)
    previous, following = lists.neighbours(
        db.session(), current_user, state, order.id, Order.number.expression
    )
    return render(
        "orders/record.html",
        order=order,
        tab="details",
        way=state.as_query,
        previous=previous,
        following=following,
        marks=_marks(order),
        COMPONENT_OF_KIND=COMPONENT_OF_KIND,
        SOLD_AS=SOLD_AS,
    )


@bp.get("/<path:number>/history")
@requires("orders.read")
def changes(number: str) -> Response:
    """Who changed what and when, and every correction of a total."""
    order = order_or_404(number)
    events = history.events_of(db.session(), order)
    return render(
        "orders/history.html", order=order, tab="history", events=events, marks=_marks(order)
    )


@bp.get("/<path:number>/calculation")
@requires("orders.read")
def calculation(number: str) -> Response:
    """How the grand total was calculated, down to the lines."""
    return _explained(order_or_404(number), "grand_total", None)


@bp.get("/<path:number>/calculation/<name>")
@requires("orders.read")
def calculation_of(number: str, name: str) -> Response:
    """How the grand total or one of the components was calculated."""
    if name not in (*COMPONENT_OF_KIND.values(), "grand_total"):
        abort(404)
    return _explained(order_or_404(number), name, None)


@bp.get("/<path:number>/calculation/lines/<int:line_id>")
@requires("orders.read")
def calculation_of_line(number: str, line_id: int) -> Response:
    """How a line's amount was calculated."""
    order = order_or_404(number)
    line = next((line for line in order.lines if line.id == line_id), None) or abort(404)
    return _explained(order, "amount", line)


def _marks(order: Order) -> Marks:
    """What is stored wrongly of the order now."""
    return marks({figure: [order.id] for figure in ORDER_FIGURES})


def _explained(order: Order, column: str, line: OrderLine | None) -> Response:
    """The calculation of one stored total, with a way on to what each of its terms came from."""
    known = _marks(order)
    of_order = grand_total if column == "grand_total" else components
    figure = line_amount if line else of_order
    explanation = figures.explain(db.session(), figure, line.id if line else order.id) or abort(404)
    corrections = [
        c for c in explanation.corrections if column in {**(c.before or {}), **(c.after or {})}
    ]
    return render(
        "orders/calculation.html",
        order=order,
        tab="calculation",
        line=line,
        explained=next(c for c in explanation.columns if c.column == column),
        marks=known,
        corrections=corrections,
        wording=Wording(db.session(), actors=[c.actor for c in corrections]),
        link_of_term=partial(_link_of_term, order),
        link_of_row=partial(_link_of_row, order),
        COMPONENT_OF_KIND=COMPONENT_OF_KIND,
    )


def _link_of_term(order: Order, term: Term) -> str | None:
    """Where a term's own calculation is shown; None for what somebody entered."""
    if term.figure is None:
        return None
    return url_for("orders.calculation_of", number=order.number, name=term.column)


def _link_of_row(order: Order, row: SourceRow) -> str:
    """Where a line's own calculation is shown."""
    return url_for("orders.calculation_of_line", number=order.number, line_id=row.id)


def _of_customer(customer: Customer, _user: Any, _number: int) -> dict[str, Any]:
    without = ("customer", "customer_code")
    own = {"endpoint": "customers.record", "code": customer.code}
    return {"listing": lists.part(orders_of(customer), without=without, **own)}


PARTS = (Part(Customer, "orders/of_customer.html", _of_customer),)
