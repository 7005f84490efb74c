"""Reads of products, and of their prices on a day."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select
from sqlalchemy.orm import Session

from ..base.matching import SEPARATOR, by_code_or_name
from ..base.spelling import look, looks_like
from .models import Product, ProductPrice


def by_code(session: Session, code: str) -> Product | None:
    """The product with exactly that code."""
    return session.scalars(select(Product).where(Product.code == code)).one_or_none()


def matching(text: str, *, kind: str = "", only_active: bool = False) -> Select[Product]:
    """Products with `text` in their code or name, in any case; the best match first, then by code.

    All products when `text` is blank. `kind`: only those that are sold as that kind of order line.
    """
    statement = by_code_or_name(select(Product), Product.code, Product.name, text)
    if kind:
        statement = statement.where(Product.kind == kind)
    if only_active:
        statement = statement.where(Product.is_active)
    return statement.order_by(Product.id)


def search(
    session: Session,
    text: str,
    *,
    kind: str = "",
    only_active: bool = False,
    limit: int = 20,
    offset: int = 0,
) -> list[Product]:
    """At most `limit` products that match `text`, the best first."""
    found = matching(text, kind=kind, only_active=only_active)
    return list(session.scalars(found.limit(limit).offset(offset)))


def label(product: Product) -> str:
    """The product's text in a list of choices, code and name; `named` reads it back."""
    return f"{product.code}{SEPARATOR}{product.name}"


def named(session: Session, text: str) -> list[Product]:
    """The products that `text` names: the one with that whole code, label or name in any case, else all that match."""
    typed = text.strip()
    code = typed.partition(SEPARATOR)[0].strip()
    for exact in (Product.code == code, looks_like(Product.code, code)):
        found = list(session.scalars(select(Product).where(exact).limit(2)))
        is_label = SEPARATOR in typed
        if len(found) == 1 and (not is_label or look(typed) == look(label(found[0]))):
            return found
    matched = search(session, typed)
    same = [product for product in matched if look(product.name) == look(typed)]
    return same if len(same) == 1 else matched


def with_codes(session: Session, codes: Iterable[str]) -> dict[str, Product]:
    """The products with exactly these codes, by code."""
    wanted = {code for code in codes if code}
    if not wanted:
        return {}
    found = session.scalars(select(Product).where(Product.code.in_(wanted)))
    return {product.code: product for product in found}


def with_ids(session: Session, ids: Iterable[int | None]) -> dict[int, Product]:
    """The products with these ids, by id."""
    wanted = {product_id for product_id in ids if product_id is not None}
    if not wanted:
        return {}
    found = session.scalars(select(Product).where(Product.id.in_(wanted)))
    return {product.id: product for product in found}


def count(session: Session, text: str = "") -> int:
    """How many products match `text`."""
    matched = matching(text).order_by(None).subquery()
    return session.scalars(select(func.count()).select_from(matched)).one()


# Prices


def price_in_force(day: date | ColumnElement[date]) -> ScalarSelect[Decimal]:
    """The price on `day` of the `Product` in the enclosing statement: the latest one that is in force by then."""
    return (
        select(ProductPrice.unit_price)
        .where(ProductPrice.product_id == Product.id, ProductPrice.effective_from <= day)
        .order_by(ProductPrice.effective_from.desc())
        .limit(1)
        .correlate(Product)
        .scalar_subquery()
    )


def prices_on(session: Session, ids: Sequence[int], day: date) -> Mapping[int, Decimal | None]:
    """The unit price of each of these products on `day`, by id; None where no price is in force yet."""
    if not ids:
        return {}
    rows = session.execute(
        select(Product.id, price_in_force(day).label("unit_price")).where(Product.id.in_(ids))
    )
    return {row.id: row.unit_price for row in rows}


def price_on(session: Session, product_id: int, day: date) -> Decimal | None:
    """The unit price of the product on `day`; None where no price is in force yet."""
    return prices_on(session, [product_id], day).get(product_id)


def listed_prices(session: Session, ids: Iterable[int]) -> Mapping[int, set[Decimal]]:
    """Every price of each of these products in the price list, of any day."""
    listed: dict[int, set[Decimal]] = {product_id: set() for product_id in ids}
    if not listed:
        return listed
    prices = select(ProductPrice.product_id, ProductPrice.unit_price)
    for row in session.execute(prices.where(ProductPrice.product_id.in_(listed))):
        listed[row.product_id].add(row.unit_price)
    return listed


def later_price(session: Session, product_id: int, day: date) -> ProductPrice | None:
    """The product's first price after `day`."""
    return session.scalars(
        select(ProductPrice)
        .where(ProductPrice.product_id == product_id, ProductPrice.effective_from > day)
        .order_by(ProductPrice.effective_from)
        .limit(1)
    ).one_or_none()
