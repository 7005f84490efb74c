"""Orders: list, form, files and one order's pages as declared; asking before one is deleted."""

from typing import Any

from flask import Blueprint, Response

from .. import lists
from ..customers.models import Customer
from ..products.rules import SOLD_AS
from ..security.permissions import requires
from ..web.additions import Addition
from ..web.htmx import render
from ..web.idempotency import new_key
from .editing.screens import OrderScreens
from .listing import orders_of
from .models import COMPONENT_OF_KIND
from .records import ORDER

bp = Blueprint("orders", __name__, url_prefix="/orders")
screens = OrderScreens(
    ORDER,
    record_page="orders/record.html",
    frame="orders/frame.html",
    head=lambda order: {"order": order, "COMPONENT_OF_KIND": COMPONENT_OF_KIND, "SOLD_AS": SOLD_AS},
)
screens.add_to(bp, without=("delete",))


@bp.get("/<path:number>/delete")
@requires("orders.write")
def delete(number: str) -> Response:
    """Ask before an order is deleted."""
    order = screens.found(number)
    return render("orders/delete.html", order=order, idempotency_key=new_key())


@bp.post("/<path:number>/delete")
@requires("orders.write")
def delete_post(number: str) -> Response:
    """Delete an open order, if it is still as it was shown."""
    return screens.delete(number)


def _of_customer(customer: Customer, _user: Any, _number: int) -> dict[str, Any]:
    without = ("customer", "customer_code")
    own = {"endpoint": "customers.record", "code": customer.code}
    return {"listing": lists.part(orders_of(customer), without=without, **own)}


PARTS = (Addition(Customer, "orders/of_customer.html", _of_customer),)
