"""A wallet, and its stored figures."""

from decimal import Decimal
from typing import Any

import pytest

from backoffice.wallets import actions
from backoffice.wallets.models import Wallet
from tests.factories.wallets import WalletFactory


@pytest.fixture
def wallet(session: Any) -> Wallet:
    """With 100,000.00 in it."""
    made = WalletFactory(number="WAL-1")
    actions.recharge(session, made.id, Decimal(100_000))
    session.commit()
    return made  # type: ignore[no-any-return]
