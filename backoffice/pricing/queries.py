"""Reads of applied price changes: one with its orders, the latest of a product, and the notes in an order's history."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Row, Select, and_, func, select
from sqlalchemy.orm import Session, joinedload

from ..orders.models import Order
from ..orders.queries import visible_to
from ..security.rights import sees_all
from ..web.formats import day_filter
from .models import PriceChange, PriceChangeOrder

LATEST = 20
"""How many price changes a product's page shows."""


def change_with_id(session: Session, change_id: int) -> PriceChange | None:
    """The price change with its product."""
    return session.get(PriceChange, change_id, options=[joinedload(PriceChange.product)])


def orders_of(session: Session, user: Any, change: PriceChange) -> Sequence[Any]:
    """The outcome for each chosen order that `user` may see; `present` is its number today, if it still exists."""
    rows: Sequence[Any] = session.execute(
        _orders_seen_by(user)
        .where(PriceChangeOrder.price_change_id == change.id)
        .order_by(PriceChangeOrder.outcome != "applied", PriceChangeOrder.number)
    ).all()
    return rows


def _orders_seen_by(user: Any) -> Select[PriceChangeOrder, str]:
    """The outcomes with each order's present number; those of deleted orders only for users who see all orders."""
    rows = select(PriceChangeOrder, Order.number.label("present")).select_from(PriceChangeOrder)
    rows = rows.outerjoin(Order, and_(Order.id == PriceChangeOrder.order_id, visible_to(user)))
    return rows if sees_all(user, "orders.read_all") else rows.where(Order.id.is_not(None))


def changes_of_product(session: Session, user: Any, product_id: int) -> Sequence[Row[Any]]:
    """The latest price changes of a product, each with the number of orders that it changed and `user` may see."""
    applied = (
        _orders_seen_by(user)
        .with_only_columns(func.count())
        .where(
            PriceChangeOrder.price_change_id == PriceChange.id,
            PriceChangeOrder.outcome == "applied",
        )
    )
    count = applied.correlate(PriceChange).scalar_subquery()
    return session.execute(
        select(PriceChange, count.label("orders"))
        .where(PriceChange.product_id == product_id)
        .order_by(PriceChange.id.desc())
        .limit(LATEST)
    ).all()


def notes_of(session: Session, order_id: int) -> Mapping[int, str]:
    """A sentence for each save of an order that a price change made, by transaction id."""
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
