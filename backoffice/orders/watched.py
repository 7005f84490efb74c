"""Which figures are recalculated for an order, and for a customer's orders."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..customers.models import Customer
from ..drift.recalculation import Owners, OwnersOf
from .figures import ORDER_FIGURES
from .models import Order
from .queries import visible_to


def _of_orders(ids: list[int]) -> Owners:
    return {figure.name: ids for figure in ORDER_FIGURES}


def _of_order(session: Session, user: Any, order_id: int) -> Owners | None:
    found = session.scalar(select(Order.id).where(Order.id == order_id, visible_to(user)))
    return None if found is None else _of_orders([found])


def _of_customer(session: Session, user: Any, customer_id: int) -> Owners | None:
    if session.get(Customer, customer_id) is None:
        return None
    orders = select(Order.id).where(Order.customer_id == customer_id, visible_to(user))
    return _of_orders(list(session.scalars(orders.order_by(Order.id))))


OWNERS = (OwnersOf("order", _of_order), OwnersOf("customer", _of_customer))
