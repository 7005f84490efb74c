"""Products and their prices, saved in the app's session."""

from datetime import date
from decimal import Decimal
from typing import Any

import factory

from backoffice.app.extensions import db
from backoffice.products.models import Product, ProductPrice


class ProductFactory(factory.alchemy.SQLAlchemyModelFactory):
    """An active product that is sold in package lines, without a price."""

    class Meta:
        model = Product
        sqlalchemy_session = db.session
        sqlalchemy_session_persistence = "flush"

    code = factory.Sequence(lambda n: f"P{n + 1:03}")
    name = factory.Sequence(lambda n: f"Product {n + 1}")
    unit = "box"

    @factory.post_generation
    def prices(product: Product, create: bool, extracted: Any, **_: Any) -> None:  # noqa: N805
        """`prices={"2026-01-01": "14.00"}`: unit prices by the day from which they are in force."""
        for day, unit_price in (extracted or {}).items():
            db.session.add(
                ProductPrice(
                    product_id=product.id,
                    effective_from=date.fromisoformat(day),
                    unit_price=Decimal(unit_price),
                )
            )
        db.session.flush()
