"""A price list and orders of it, as the browser tests of prices use them."""

from typing import Any

from playwright.sync_api import Locator, Page

from backoffice.orders.models import Order, OrderLine
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.factories.products import ProductFactory


def orders_of_tea(session: Any) -> dict[str, Order]:
    """Tea at 10, and open orders of it: two plain, one at a negotiated price, one that would become negative."""
    tea = ProductFactory(code="TEA", name="Green tea", prices={"2026-01-01": "10000"})
    ProductFactory(code="CUPS", name="Cups and saucers", prices={"2026-01-01": "2500"})
    ProductFactory(code="OLD", name="Old stock", is_active=False, prices={"2026-01-01": "1"})
    customer = CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    manager = AccountManagerFactory(name="Nancy Davolio")
    facts = {
        "SO-1": ("10000", 0),
        "SO-2": ("10000", 0),
        "SO-3": ("9500", 0),
        "SO-4": ("10000", 50_000),
    }
    made = {}
    for number, (price, promo) in facts.items():
        made[number] = OrderFactory(
            number=number,
            customer=customer,
            account_manager=manager,
            total_price=0,
            additions=0,
            promo=promo,
            reductions=0,
            lines=[("package", "Green tea", "5", price)],
        )
        made[number].lines[0].product_id = tea.id
    session.commit()
    return made


def total(page: Page) -> Locator:
    return page.locator("#grand_total .figure-big")


def difference(page: Page) -> Locator:
    return page.locator("#chosen-total .figure-big")


def lines_of(session: Any, order: Order) -> list[OrderLine]:
    session.rollback()
    session.refresh(order)
    return list(order.lines)
