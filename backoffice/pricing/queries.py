"""Reads of applied price changes: one with its orders, a product's latest, and why an order was saved."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Row, and_, func, select, true
from sqlalchemy.orm import Session, joinedload

from ..orders.models import Order
from ..orders.queries import visible_to
from ..security.rights import allowed
from ..web.formats import day_filter
from .models import PriceChange, PriceChangeOrder

LATEST = 20
"""Price changes that a product's page shows."""


def change_with_id(session: Session, change_id: int) -> PriceChange | None:
    """The price change with its product."""
    return session.get(PriceChange, change_id, options=[joinedload(PriceChange.product)])


def orders_of(session: Session, user: Any, change: PriceChange) -> Sequence[Any]:
    """What became of each chosen order that `user` may see; `present` is its number today, if it is there."""
    is_visible = Order.id.is_not(None) if not allowed(user, "orders.read_all") else true()
    rows: Sequence[Any] = session.execute(
        select(PriceChangeOrder, Order.number.label("present"))
        .outerjoin(Order, and_(Order.id == PriceChangeOrder.order_id, visible_to(user)))
        .where(PriceChangeOrder.price_change_id == change.id, is_visible)
        .order_by(PriceChangeOrder.outcome != "applied", PriceChangeOrder.number)
    ).all()
    return rows


def changes_of_product(session: Session, user: Any, product_id: int) -> Sequence[Row[Any]]:
    """The latest price changes of a product, each with the number of orders, of those of `user`, that it changed."""
    is_applied = and_(
        PriceChangeOrder.price_change_id == PriceChange.id, PriceChangeOrder.outcome == "applied"
    )
    if not allowed(user, "orders.read_all"):
        own = select(Order.id).where(visible_to(user))
        is_applied = and_(is_applied, PriceChangeOrder.order_id.in_(own))
    count = select(func.count()).where(is_applied).correlate(PriceChange).scalar_subquery()
    return session.execute(
        select(PriceChange, count.label("orders"))
        .where(PriceChange.product_id == product_id)
        .order_by(PriceChange.id.desc())
        .limit(LATEST)
    ).all()


def notes_of(session: Session, order_id: int) -> Mapping[int, str]:
    """The saves of an order that price changes made: a sentence by the transaction's id."""
    changes = session.scalars(
        select(PriceChange)
        .join(PriceChangeOrder, PriceChangeOrder.price_change_id == PriceChange.id)
        .where(PriceChangeOrder.order_id == order_id, PriceChangeOrder.outcome == "applied")
        .options(joinedload(PriceChange.product))
    )
    return {
        change.xid: _(
            "Price change of %(product)s from %(day)s",
            product=change.product.name,
            day=day_filter(change.effective_from),
        )
        for change in changes
    }
