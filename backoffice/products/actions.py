"""Verbs that change products and their prices. Nothing here commits."""

from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, inspect, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..base import N_
from ..base.refusals import Refusal, Stale
from ..base.upserts import Upserted, upsert
from .models import Product, ProductPrice


class CodeTaken(Refusal):
    """Two products cannot have one code."""

    sentence = N_("There is already a product %(code)s. Choose another code.")


class ProductChanged(Stale):
    """Somebody saved the product after it was opened for editing."""

    sentence = N_(
        "Somebody else has saved product %(code)s since you opened it. "
        "Look at what they changed, then save again."
    )


class ProductGone(Refusal):
    """There is no such product."""

    sentence = N_("There is no such product any more.")
    status = 404


class PriceInForceKept(Refusal):
    """A price that has been in force is part of what orders were priced by; a new price follows it."""

    sentence = N_(
        "The price from %(day)s is in force already, so it stays. Enter a new price instead."
    )


@dataclass(frozen=True)
class ProductEntry:
    """A product as entered."""

    code: str
    name: str
    kind: str = "package"
    unit: str = ""
    is_active: bool = True

    @classmethod
    def of(cls, product: Product) -> "ProductEntry":
        """The product as it is stored."""
        return cls(**{name: getattr(product, name) for name in cls.__dataclass_fields__})

    def facts(self) -> dict[str, str]:
        """Each fact by its name, in a comparable form."""
        return {**asdict(self), "is_active": "yes" if self.is_active else ""}


def create(session: Session, entry: ProductEntry) -> Product:
    """Add a product to the price list. Raises CodeTaken."""
    product = Product()
    session.add(product)
    return _saved(session, product, entry)


def update(session: Session, product_id: int, entry: ProductEntry, version: int) -> Product:
    """Change a product, if it is still at `version`; saving what is stored already changes nothing.

    Raises ProductGone, ProductChanged: somebody else was faster; CodeTaken.
    """
    product = locked(session, product_id)
    if product.version != version:
        raise ProductChanged(code=product.code)
    return _saved(session, product, entry)


def locked(session: Session, product_id: int) -> Product:
    """The product, locked against other writers of it and of its prices; lines may still name it.

    Raises ProductGone.
    """
    product = session.get(
        Product, product_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if product is None:
        raise ProductGone()
    return product


def set_price(session: Session, product: Product, effective_from: date, price: Decimal) -> None:
    """Let a unit of `product`, which is locked, cost `price` from that day until its next price."""
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
    """Take a price back that is not in force yet; one that is gone already stays gone.

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
    """Create and update the products that `rows` names by code; columns it lacks stay."""
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


def _saved(session: Session, product: Product, entry: ProductEntry) -> Product:
    product.code, product.name = entry.code, entry.name
    product.kind, product.unit = entry.kind, entry.unit
    product.is_active = entry.is_active
    if inspect(product).persistent and session.is_modified(product):
        product.version += 1
    try:
        session.flush()
    except IntegrityError as error:
        diagnostics = getattr(error.orig, "diag", None)
        if getattr(diagnostics, "constraint_name", None) == "uq_products_code":
            raise CodeTaken(code=entry.code) from error
        raise
    return product
