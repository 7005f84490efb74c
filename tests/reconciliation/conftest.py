"""A book of orders and managers' months, and the removal of the limit on files."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from backoffice.app.protection import limiter
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory


@pytest.fixture
def book(session: Any) -> list[int]:
    """Seven orders of two managers, most of them closed; returns their ids."""
    managers = [AccountManagerFactory(name=name) for name in ("Nancy", "Robert")]
    orders = [
        OrderFactory(
            number=f"R-{n}",
            account_manager=managers[n % 2],
            closing_date=date(2026, 1 + n % 3, 5) if n else None,
            total_price=Decimal(n * 1_000_003) / 100,
            promo=Decimal(n) / 100,
            additions=0,
            reductions=0,
        )
        for n in range(7)
    ]
    session.commit()
    return [order.id for order in orders]


@pytest.fixture
def unlimited(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off the limit on files per minute."""
    monkeypatch.setattr(limiter, "enabled", False)
