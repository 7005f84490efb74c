"""Orders and what they need, saved in the app's session; commit what other sessions have to see."""

from datetime import date
from decimal import Decimal
from typing import Any

import factory

from backoffice.app.extensions import db
from backoffice.orders.models import COMPONENT_OF_KIND, Order, OrderLine

from .customers import CustomerFactory
from .people import AccountManagerFactory


class OrderFactory(factory.alchemy.SQLAlchemyModelFactory):
    """An open order with entered amounts as components."""

    class Meta:
        model = Order
        sqlalchemy_session = db.session
        sqlalchemy_session_persistence = "flush"

    number = factory.Sequence(lambda n: f"SO-{n + 1:04}")
    customer = factory.SubFactory(CustomerFactory)
    account_manager = factory.SubFactory(AccountManagerFactory)
    order_date = date(2026, 3, 2)
    total_price = Decimal(10_000_000)
    additions = Decimal(500_000)
    promo = Decimal(1_000_000)
    reductions = Decimal(200_000)

    @factory.post_generation
    def lines(order: Order, create: bool, extracted: Any, **_: Any) -> None:  # noqa: N805
        """`lines=[("package", "Queso", "12", "14.00"), …]`: the order's lines."""
        if not extracted:
            return
        for position, (kind, description, quantity, unit_price) in enumerate(extracted):
            order.lines.append(
                OrderLine(
                    position=position,
                    kind=kind,
                    description=description,
                    quantity=Decimal(quantity),
                    unit_price=Decimal(unit_price),
                )
            )
        order.itemised = [k for k in COMPONENT_OF_KIND if k in {line[0] for line in extracted}]
        db.session.flush()


class OrderLineFactory(factory.alchemy.SQLAlchemyModelFactory):
    """One line of an order; writing it makes its kind itemised in the order."""

    class Meta:
        model = OrderLine
        sqlalchemy_session = db.session
        sqlalchemy_session_persistence = "flush"

    order = factory.SubFactory(OrderFactory)
    kind = "package"
    description = factory.Sequence(lambda n: f"Item {n + 1}")
    quantity = Decimal(1)
    unit_price = Decimal(100)
