"""The orders and the browser that tests of price changes use."""

from typing import Any

import pytest

from .shops import Shop, open_shop


@pytest.fixture
def shop(session: Any) -> Shop:
    """Tea at 10 a box, and orders of it."""
    return open_shop(session)


@pytest.fixture
def finance(sign_in: Any) -> Any:
    """The browser of a finance user."""
    return sign_in("finance")
