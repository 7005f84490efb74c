"""How the search finds orders: by number, and by the customer that the text names."""

from typing import Any

from flask import url_for
from flask_babel import gettext as _

from ..base import N_
from ..customers.finding import owners
from ..lists.finding import beginning, called, kind_of, owned_by
from ..search.search_results import SearchResult
from ..web.formats import day_filter, money_filter
from .listing import ORDERS
from .models import Order


def _place(row: Any) -> SearchResult:
    status, tone = (_("Closed"), "good") if row.closing_date else (_("Open"), "neutral")
    return SearchResult(
        row.number,
        url_for("orders.record", number=row.number),
        (row.customer, day_filter(row.order_date), money_filter(row.grand_total, symbol=True)),
        status=status,
        tone=tone,
    )


FINDABLE = (
    kind_of(
        "orders",
        N_("Orders"),
        "orders.index",
        lambda _user: ORDERS,
        rank=2,
        ways=(
            called(Order.number),
            beginning(Order.number),
            owned_by(Order.customer_id, owners),
        ),
        reads=("number", "customer", "order_date", "grand_total", "closing_date"),
        place=_place,
    ),
)
PAGES = ((N_("New order"), "orders.new"),)
