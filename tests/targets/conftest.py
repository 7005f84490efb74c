"""Account managers, the orders that they closed, and their targets."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from backoffice.base.periods import Month
from backoffice.orders.models import Order
from backoffice.people.models import User
from backoffice.targets import actions
from backoffice.targets.actions import Entry
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory


@pytest.fixture
def finance(session: Any) -> User:
    """A user who sees all targets."""
    return UserFactory(role="finance")


@pytest.fixture
def nancy(session: Any) -> User:
    """An account manager."""
    return AccountManagerFactory(name="Nancy Davolio", email="nancy@example.com")


@pytest.fixture
def close(session: Any) -> Callable[..., Order]:
    """`close(nancy, "1997-01-31", "90")`: an order of that grand total, closed on that day."""

    def close(manager: User, day: str, amount: str) -> Order:
        made: Order = OrderFactory(
            account_manager=manager,
            order_date=date.fromisoformat(day),
            closing_date=date.fromisoformat(day),
            total_price=Decimal(amount),
            additions=0,
            promo=0,
            reductions=0,
        )
        return made

    return close


@pytest.fixture
def aim(session: Any) -> Callable[..., None]:
    """`aim(nancy, "1997-01", "100")`: set a target."""

    def aim(manager: User, month: str, amount: str) -> None:
        session.flush()
        actions.enter(session, manager.id, {Month.parse(month): Entry(None, Decimal(amount))})

    return aim
