"""The screens of orders: list, form, files and the pages of one order, as declared."""

from typing import Any

from flask import Blueprint

from .. import lists
from ..customers.models import Customer
from ..products.rules import SOLD_AS
from ..web.additions import Addition
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
screens.add_to(bp)


def _of_customer(customer: Customer, _user: Any, _number: int) -> dict[str, Any]:
    without = ("customer", "customer_code")
    own = {"endpoint": "customers.record", "code": customer.code}
    return {"listing": lists.part(orders_of(customer), without=without, **own)}


PARTS = (Addition(Customer, "orders/of_customer.html", _of_customer),)
