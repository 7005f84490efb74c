"""The price list: its columns, its filters and the link of each row."""

from datetime import date
from typing import Any

from flask import url_for
from sqlalchemy import BindParameter, Date, ScalarSelect, bindparam, select

from ..base import N_, counted, periods
from ..lists import Choice, Column, List, Search, containing
from ..records.listing import column_of
from .fields import CODE, IS_ACTIVE, KIND, NAME, PRICE, UNIT
from .models import Product, ProductPrice
from .queries import price_in_force


def _today() -> BindParameter[date]:
    """Today in the business time zone, evaluated when the statement is executed."""
    return bindparam("today", callable_=periods.today, type_=Date(), unique=False)


def _in_force_since() -> ScalarSelect[date]:
    return (
        select(ProductPrice.effective_from)
        .where(ProductPrice.product_id == Product.id, ProductPrice.effective_from <= _today())
        .order_by(ProductPrice.effective_from.desc())
        .limit(1)
        .correlate(Product)
        .scalar_subquery()
    )


def _record(row: Any) -> str:
    return url_for("products.record", code=row.code)


PRODUCTS = List(
    "products",
    N_("Price list"),
    "products.index",
    export="products.export",
    rows=lambda _user: select().select_from(Product),
    key=Product.id,
    columns=(
        column_of(CODE, link=_record, classes="cell-key"),
        column_of(NAME, classes="cell-name"),
        column_of(KIND),
        column_of(UNIT),
        Column("price_since", N_("In force since"), _in_force_since(), kind="day"),
        Column(
            PRICE.name,
            PRICE.label,
            price_in_force(_today()),
            kind="unit_price",
            classes="cell-total",
        ),
        column_of(
            IS_ACTIVE,
            label=N_("Status"),
            words={True: N_("Sold"), False: N_("Not sold any more")},
        ),
    ),
    filters=(
        Search(
            "q",
            N_("Search"),
            containing(Product.code, Product.name),
            placeholder=N_("Code or name"),
        ),
        Choice(
            "state",
            N_("Status"),
            {
                "active": (N_("Sold"), Product.is_active.expression),
                "inactive": (N_("Not sold any more"), ~Product.is_active.expression),
            },
        ),
    ),
    default_sort="code",
    counted=counted("%(num)s product", "%(num)s products"),
    new=("products.new", N_("New product")),
    nothing_yet=(
        N_("No products yet"),
        N_("Products are entered here, or come with the import."),
    ),
    nothing_fits=(N_("No product fits that"), N_("Search for a part of the code or of the name.")),
)
