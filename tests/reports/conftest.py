"""Orders with known amounts, and a user who sees them."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from backoffice.orders.models import Order
from backoffice.people.models import User
from tests.factories.orders import OrderFactory
from tests.factories.people import UserFactory

NewOrder = Callable[..., Order]


@pytest.fixture
def finance(session: Any) -> User:
    """A user who sees all orders."""
    return UserFactory(role="finance")


@pytest.fixture
def order(session: Any) -> NewOrder:
    """`order("100.10", "1997-01-31")`: an order of that grand total, closed then; None: still open."""

    def order(amount: str, closed: str | None, ordered: str | None = None, **further: Any) -> Order:
        made: Order = OrderFactory(
            order_date=date.fromisoformat(ordered or closed or "1997-01-01"),
            closing_date=date.fromisoformat(closed) if closed else None,
            total_price=Decimal(amount),
            additions=0,
            promo=0,
            reductions=0,
            **further,
        )
        return made

    return order
