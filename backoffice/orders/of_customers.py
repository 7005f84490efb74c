"""Orders as records owned by customers: columns of the list of customers, and what deleting and merging look at."""

from collections.abc import Sequence
from typing import Any

from flask import url_for
from sqlalchemy import ColumnElement, func, select

from ..base import N_, counted
from ..customers.models import Customer
from ..customers.owned_records import OwnedRecord
from ..lists import Column
from ..web.additions import Columns
from .models import Order
from .queries import revenue, visible_to

ORDERS_OF_CUSTOMERS = OwnedRecord(
    "orders",
    N_("Orders"),
    counted("%(num)s order", "%(num)s orders"),
    Order,
    customer=Order.customer_id,
    label=Order.number,
    day=Order.order_date,
    amount=Order.grand_total,
    endpoint="orders.index",
)


def columns_of_customers(user: Any) -> Sequence[Column]:
    """The number and the revenue of each customer's orders, counting only orders that the user may see."""

    def of_each(value: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
        orders = select(value).where(Order.customer_id == Customer.id, visible_to(user))
        return orders.where(*conditions).correlate(Customer).scalar_subquery()

    def list_of(**more: Any) -> Any:
        return lambda row: url_for("orders.index", customer=row.code, **more)

    return (
        Column(
            "orders",
            N_("Orders"),
            of_each(func.count()),
            kind="number",
            total=True,
            link=list_of(),
        ),
        Column(
            "open_orders",
            N_("Open orders"),
            of_each(func.count(), Order.closing_date.is_(None)),
            kind="number",
            total=True,
            link=list_of(state="open"),
        ),
        Column(
            "revenue",
            N_("Revenue"),
            of_each(revenue),
            kind="money",
            total=True,
            link=list_of(),
            classes="cell-total",
        ),
    )


COLUMNS = (Columns(Customer, columns_of_customers),)
OWNED = (ORDERS_OF_CUSTOMERS,)
