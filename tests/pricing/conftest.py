"""The shop in which prices change."""

from typing import Any

import pytest

from .shops import Shop, open_shop


@pytest.fixture
def shop(session: Any) -> Shop:
    """Tea at 10 a box, and orders of it."""
    return open_shop(session)


@pytest.fixture
def finance(sign_in: Any) -> Any:
    """A finance user's browser."""
    return sign_in("finance")
