"""Verbs that change products and their prices. Nothing here commits."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ..base import N_
from ..base.refusals import Refusal
from ..base.upserts import Upserted, upsert
from ..records.actions import locked as lock
from .models import Product, ProductPrice


class PriceInForceKept(Refusal):
    """A price that has been in force cannot be removed, because orders were priced by it; a new price can follow it."""

    sentence = N_(
        "The price from %(day)s is in force already, so it stays. Enter a new price instead."
    )


def locked(session: Session, product_id: int) -> Product:
    """The product, locked against other writers of it and of its prices; new order lines may still refer to it.

    Raises RecordGone.
    """
    found: Product = lock(session, Product, [product_id], key_share=True)[product_id]
    return found


def set_price(session: Session, product: Product, effective_from: date, price: Decimal) -> None:
    """Set the unit price of `product`, which the caller has locked, from that day until its next price."""
    statement = insert(ProductPrice).values(
        product_id=product.id, effective_from=effective_from, unit_price=price
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[ProductPrice.product_id, ProductPrice.effective_from],
            set_={"unit_price": statement.excluded.unit_price},
            where=ProductPrice.unit_price != statement.excluded.unit_price,
        )
    )


def remove_price(session: Session, product: Product, price_id: int, today: date) -> None:
    """Remove a price that is not in force yet; does nothing if it no longer exists.

    Raises PriceInForceKept.
    """
    price = session.scalars(
        select(ProductPrice).where(
            ProductPrice.id == price_id, ProductPrice.product_id == product.id
        )
    ).one_or_none()
    if price is None:
        return
    if price.effective_from <= today:
        raise PriceInForceKept(day=price.effective_from.isoformat())
    session.delete(price)
    session.flush()


def upsert_products(session: Session, rows: Select[Any]) -> Upserted:
    """Create and update the products that `rows` names by code; columns that it lacks are left unchanged."""
    changed = {"version": Product.version + 1}
    return upsert(session, Product, rows, "code", on_change=changed)


def upsert_prices(session: Session, rows: Select[Any]) -> None:
    """Set the prices that `rows` (product_id, effective_from, unit_price) names by product and day."""
    names = ["product_id", "effective_from", "unit_price"]
    statement = insert(ProductPrice).from_select(names, rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[ProductPrice.product_id, ProductPrice.effective_from],
            set_={"unit_price": statement.excluded.unit_price},
            where=ProductPrice.unit_price != statement.excluded.unit_price,
        )
    )
