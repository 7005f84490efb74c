"""Reads of orders: who may see which rows, one order, and what its form offers. The list: `listing.py`."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from ..people.models import User
from ..security.rights import mine_or
from .models import Order, OrderLine
from .rules import NUMBER_LENGTH

revenue = func.coalesce(func.sum(Order.grand_total), 0)
"""The sum of the grand totals of orders, 0 where there are none."""


def visible_to(user: Any) -> ColumnElement[bool]:
    """The orders that `user` may see: an account manager only their own."""
    return mine_or(user, "orders.read_all", Order.account_manager_id.expression)


def order_of(session: Session, user: Any, number: str) -> Order | None:
    """The order with that number, with its lines, if `user` may see it."""
    return session.scalars(
        select(Order)
        .where(Order.number == number, visible_to(user))
        .options(
            joinedload(Order.customer),
            joinedload(Order.account_manager),
            selectinload(Order.lines).joinedload(OrderLine.product),
        )
    ).one_or_none()


def open_since(session: Session, user: Any, last: date, most: int) -> tuple[int, Decimal]:
    """The number of visible open orders up to that day, `most` at most, and the sum of their grand totals."""
    waiting = (
        select(Order.grand_total)
        .where(Order.closing_date.is_(None), Order.order_date <= last, visible_to(user))
        .limit(most)
        .subquery()
    )
    amount = func.coalesce(func.sum(waiting.c.grand_total), 0)
    count, found = session.execute(select(func.count(), amount).select_from(waiting)).one()
    return count, found


def managers_with_orders(session: Session, user: Any) -> Sequence[User]:
    """The account managers of the orders that `user` may see, as choices of the list's filter."""
    has_order = exists().where(Order.account_manager_id == User.id, visible_to(user))
    return session.scalars(select(User).where(has_order).order_by(User.name)).all()


is_account_manager = User.role == "account_manager"
may_have_orders = is_account_manager & User.is_active
"""The condition for users who can be an order's account manager."""


def assignable_managers(session: Session, also: int | None) -> Sequence[User]:
    """The account managers who can be assigned to an order, and the one who already is."""
    may = or_(may_have_orders, User.id == also) if also else may_have_orders
    return session.scalars(select(User).where(may).order_by(User.name)).all()


def newest_number(session: Session) -> str:
    """The number of the newest order that another one can follow; SO-0000 where there is none."""
    can_follow = func.length(Order.number) < NUMBER_LENGTH
    newest = select(Order.number).where(can_follow).order_by(Order.id.desc()).limit(1)
    return session.scalar(newest) or "SO-0000"
