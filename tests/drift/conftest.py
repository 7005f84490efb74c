"""A book of three orders, two of which were changed without triggers."""

from typing import Any

import pytest

from backoffice.orders.models import Order
from tests.drift.books import an_order, run_of
from tests.factories.people import AccountManagerFactory


@pytest.fixture
def orders(session: Any) -> dict[str, Order]:
    """Three open orders of one manager, each of 30.00."""
    nancy = AccountManagerFactory(name="Nancy Davolio")
    made = {number: an_order(number, account_manager=nancy) for number in ("A-1", "A-2", "A-3")}
    session.commit()
    return made


@pytest.fixture
def wrong(session: Any, orders: dict[str, Order], surgery: Any) -> dict[str, Order]:
    """A-1 has a total of 100.00 instead of 30.00, A-2's line 5.00 instead of 30.00; both were found."""
    surgery.execute("UPDATE orders SET grand_total = 100 WHERE number = 'A-1'")
    surgery.execute(
        "UPDATE order_lines SET amount = 5 FROM orders o WHERE o.id = order_id AND o.number = 'A-2'"
    )
    run_of("figures.verify")
    return orders
