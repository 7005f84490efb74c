"""A product with a price list, and open and closed orders of it."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from backoffice.orders.models import Order
from backoffice.pricing.effects import NewPrice
from backoffice.products.models import Product
from tests.factories.orders import OrderFactory
from tests.factories.products import ProductFactory

FROM = date(2026, 3, 1)


@dataclass
class Shop:
    """Tea at 10 a box, and orders: plain, negotiated, closed, of February, and one that a low price makes negative."""

    tea: Product
    plain: Order
    negotiated: Order
    closed: Order
    early: Order
    tight: Order

    def price(self, unit_price: str, effective_from: date = FROM) -> NewPrice:
        """A new price of tea."""
        return NewPrice(self.tea.id, effective_from, Decimal(unit_price))


def order_of(product: Product, price: str, quantity: str = "5", **facts: Any) -> Order:
    """An order with one line of the product and one of something else."""
    nothing = dict.fromkeys(("total_price", "additions", "promo", "reductions"), Decimal(0))
    lines = [("package", product.name, quantity, price), ("package", "Cups", "1", "100")]
    order: Order = OrderFactory(**{**nothing, **facts}, lines=lines)
    order.lines[0].product_id = product.id
    return order


def open_shop(session: Any) -> Shop:
    """Create and commit the shop."""
    tea = ProductFactory(code="TEA", name="Green tea", prices={"2026-01-01": "10"})
    shop = Shop(
        tea=tea,
        plain=order_of(tea, "10", number="SO-1"),
        negotiated=order_of(tea, "9.5", number="SO-2"),
        closed=order_of(tea, "10", number="SO-3", closing_date=date(2026, 3, 9)),
        early=order_of(tea, "10", number="SO-4", order_date=date(2026, 2, 27)),
        tight=order_of(tea, "10", number="SO-5", promo=Decimal(150)),
    )
    session.commit()
    return shop
