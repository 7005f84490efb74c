"""`import products`: products by code, and their prices by code and day.

A product with several prices has a line for each, with the same columns of the product. A line
without a price is the product alone; prices that the files do not name stay.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on

from ...base import N_
from ...products.actions import upsert_prices, upsert_products
from ...products.fields import CODE, IN_FORCE, NAME, PRICE, UNIT
from ...products.fields import KIND as KIND_OF_LINE
from ...products.models import Product, ProductPrice
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, ImportKind, Reads, creates, reads
from .field_columns import columns_of

PRODUCT_FIELDS = (NAME, KIND_OF_LINE, UNIT)
COLUMNS = columns_of((CODE, *PRODUCT_FIELDS, IN_FORCE, PRICE))
FACTS = tuple(field.key for field in PRODUCT_FIELDS)
"""The columns of the product itself, beside its code."""


def _has_prices(stage: Stage) -> bool:
    return stage.has("effective_from") and stage.has("unit_price")


def _given_columns(stage: Stage) -> list[str]:
    return [name for name in FACTS if stage.has(name)]


def _check(stage: Stage) -> Iterator[Problem]:
    if not _has_prices(stage):
        yield from stage.problems(
            stage.repeated("code"), "code", N_("This code stands in line %(first)s already.")
        )
        yield from _incomplete_prices(stage)
        return
    yield from stage.problems(
        stage.repeated("code", "effective_from"),
        "effective_from",
        N_("Line %(first)s has a price of this product from this day already."),
    )
    yield from _incomplete_prices(stage)
    yield from _contradictions(stage)


def _incomplete_prices(stage: Stage) -> Iterator[Problem]:
    """Problems of lines with a price but no day, or with a day but no price."""
    for name, other in (("effective_from", "unit_price"), ("unit_price", "effective_from")):
        if stage.has(name):
            lacks = stage.c[other].is_(None) if stage.has(other) else stage.c[name].is_not(None)
            yield from stage.problems(
                stage.at().where(stage.c[name].is_not(None), lacks),
                name,
                N_("A price needs both effective_from and unit_price. Fill in both, or neither."),
            )


def _contradictions(stage: Stage) -> Iterator[Problem]:
    """Problems of lines that contradict the first line of their product."""
    for name in _given_columns(stage):
        yield from stage.problems(
            stage.contradicting(name, within="code"),
            name,
            N_("An earlier line says “%(first)s” of this product."),
        )


def _apply(stage: Stage) -> Changes:
    """Write products and prices. Changes are counted before: one line may create a product and its price."""
    created, updated = stage.session.execute(_counts(stage)).one()
    names = ["code", *_given_columns(stage)]
    one_of_each = select(*(stage.c[name] for name in names)).ext(distinct_on(stage.c.code))
    upsert_products(stage.session, one_of_each.order_by(stage.c.code, stage.c.n))
    if _has_prices(stage):
        upsert_prices(
            stage.session,
            select(Product.id, stage.c.effective_from, stage.c.unit_price)
            .select_from(stage.lines)
            .join(Product, Product.code == stage.c.code)
            .where(stage.c.unit_price.is_not(None))
            .order_by(Product.id, stage.c.effective_from),
        )
    return Changes(created, updated)


def _counts(stage: Stage) -> Select[Any]:
    """How many lines create a product or a price, and how many change one."""
    lines = select().select_from(stage.lines)
    lines = lines.outerjoin(Product, Product.code == stage.c.code)
    is_new: ColumnElement[bool] = Product.id.is_(None)
    is_other = or_(
        *(Product.__table__.c[n].is_distinct_from(stage.c[n]) for n in _given_columns(stage))
    )
    if _has_prices(stage):
        on_that_day = and_(
            ProductPrice.product_id == Product.id,
            ProductPrice.effective_from == stage.c.effective_from,
        )
        lines = lines.outerjoin(ProductPrice, on_that_day)
        is_new = or_(is_new, and_(stage.c.unit_price.is_not(None), ProductPrice.id.is_(None)))
        is_other = or_(is_other, ProductPrice.unit_price != stage.c.unit_price)
    return lines.add_columns(
        func.count().filter(is_new), func.count().filter(and_(~is_new, is_other))
    )


def _is_price(c: Any) -> ColumnElement[bool]:
    product = select(Product.id).where(Product.code == c.code).scalar_subquery()
    return and_(ProductPrice.product_id == product, ProductPrice.effective_from == c.effective_from)


KIND = ImportKind(
    "products", COLUMNS, _check, _apply, together="code", creates=creates("code", CODE),
    reads=(
        reads("code", Product.code, is_locked_here=True),
        Reads(ProductPrice, ("code", "effective_from"), _is_price, is_locked_here=True),
    ),
)  # fmt: skip
