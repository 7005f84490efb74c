"""How the search finds products: by code or name."""

from collections.abc import Sequence
from typing import Any

from flask import url_for
from flask_babel import gettext as _

from ..base import N_
from ..lists import List
from ..lists.finding import kind_of
from ..search.search_results import Question, SearchResult
from ..web.formats import unit_price_filter
from . import queries
from .listing import PRODUCTS


def _named(question: Question, _listing: List) -> Sequence[Any]:
    found = queries.search(question.session, question.text, limit=question.limit)
    return [product.id for product in found]


def _place(row: Any) -> SearchResult:
    return SearchResult(
        row.name,
        url_for("products.record", code=row.code),
        list(filter(None, (row.code, unit_price_filter(row.unit_price), row.unit))),
        status="" if row.is_active else _("Not sold any more"),
        names=(row.code, row.name),
    )


FINDABLE = (
    kind_of(
        "products",
        N_("Products"),
        "products.index",
        lambda _user: PRODUCTS,
        rank=6,
        ways=(_named,),
        reads=("code", "name", "unit", "unit_price", "is_active"),
        place=_place,
    ),
)
PAGES = ((N_("Price list"), "products.index"), (N_("New product"), "products.new"))
