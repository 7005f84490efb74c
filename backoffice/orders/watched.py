"""Orders as the watch over figures knows them: what a wrong row is called, and what is recalculated with it."""

from typing import Any

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..customers.models import Customer
from ..drift.recalculation import Owners, OwnersOf
from ..web.record_links import Place, Subject
from .figures import ORDER_FIGURES
from .models import Order, OrderLine
from .queries import visible_to


def _number(owner: Any, _key: Any) -> Any:
    return select(Order.number).where(Order.id == owner).scalar_subquery()


def _named(text: str) -> Any:
    return select(Order.id).where(Order.number == text)


def _record(place: Place) -> str:
    return url_for("orders.record", number=place.name)


def _calculation(place: Place, column: str) -> str:
    if column == "grand_total":
        return url_for("orders.calculation", number=place.name)
    return url_for("orders.calculation_of", number=place.name, name=column)


def _calculation_of_line(place: Place, _column: str) -> str:
    return url_for(
        "orders.calculation_of_line", number=place.name, line_id=int(place.key.get("id", 0))
    )


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


SUBJECTS = (
    Subject(Order.__tablename__, _number, _record, _calculation, _named),
    Subject(OrderLine.__tablename__, _number, _record, _calculation_of_line, _named),
)
OWNERS = (OwnersOf("order", _of_order), OwnersOf("customer", _of_customer))
