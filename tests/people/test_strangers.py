"""An account manager's pages do not depend on others' orders: none is shown, counted or summed."""

import re
from datetime import date
from decimal import Decimal

import pytest

from backoffice.app.protection import limiter
from backoffice.pricing.models import PriceChange, PriceChangeOrder
from tests.addresses import addresses
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.products import ProductFactory

pytestmark = pytest.mark.slow

FURTHER = (
    "/orders?q=SO", "/orders?customer=1", "/orders/bulk?selected=1&matching=1", "/search?q=SO", "/search?q=x",
    "/search?q=Robert", "/reports?year=2026", "/pricing?product=x&effective_from=2026-01-01&unit_price=5",
)  # fmt: skip

ELSEWHERE = ("/api", "/metrics", "/static", "/login", "/healthz", "/readyz")
"""Addresses that are not pages of a user."""

SUGGESTS = "/orders/new"
"""Suggests the number after the newest order's, with any owner."""


def as_read(page):
    """A page without the parts that differ on every request."""
    page = re.sub(r"[\w.-]{22,}", "token", page)
    return re.sub(r"\d\d[:.]\d\d([:.]\d\d)?", "time", page)


def changed_by(session, change, order):
    """Record the order among those changed by the price change."""
    session.add(
        PriceChangeOrder(
            price_change_id=change.id, order_id=order.id, number=order.number, outcome="applied",
            before=Decimal(1), after=Decimal(2),
        )
    )  # fmt: skip


def test_the_orders_of_others_change_no_page_of_an_account_manager(
    app, session, sign_in, monkeypatch
):
    monkeypatch.setattr(limiter, "enabled", False)
    nancy, robert = AccountManagerFactory(name="Nancy"), AccountManagerFactory(name="Robert")
    shared = {"customer": CustomerFactory(code="x"), "order_date": date(2026, 3, 1)}
    product = ProductFactory(code="x", prices={"2026-01-01": "10"})
    session.flush()
    change = PriceChange(
        product_id=product.id, effective_from=date(2026, 1, 1), unit_price=5, previous_price=10
    )
    session.add(change)

    def order(number, manager, **more):
        lines = [("package", "Queso", "12", "14.00")]
        made = OrderFactory(number=number, account_manager=manager, lines=lines, **shared, **more)
        made.lines[0].product = product
        session.flush()
        changed_by(session, change, made)

    order("x", nancy, closing_date=date(2026, 3, 9))
    session.commit()
    browser = sign_in(nancy)
    pages = [address for _rule, method, address in addresses(app) if method == "GET"]
    pages = [p for p in pages if not p.startswith(ELSEWHERE) and p != SUGGESTS] + [*FURTHER]

    def read():
        answers = {page: browser.get(page) for page in pages}
        return {page: (a.status_code, as_read(a.text)) for page, a in answers.items()}

    read()
    before = read()
    order("SO-1", robert)
    order("SO-2", robert, closing_date=date(2026, 3, 9))
    session.commit()
    after = read()
    assert [page for page in pages if before[page] != after[page]] == []
    assert sum(status == 200 for status, _text in after.values()) > 25
