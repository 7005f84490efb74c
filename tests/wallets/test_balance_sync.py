"""The tests of seed 004, by name: a wallet's balance and its transactions never tell two stories."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from backoffice.wallets import actions
from backoffice.wallets.models import Wallet, WalletTransaction
from backoffice.wallets.refusals import InsufficientBalance
from tests.factories.wallets import WalletFactory

D = Decimal


@pytest.fixture
def wallet(session: Any) -> Wallet:
    """A wallet with 100,000.00 in it."""
    made = WalletFactory()
    actions.recharge(session, made.id, D(100_000))
    session.commit()
    return made


def test_single_charge_updates_both_tables_atomically(session: Any, wallet: Wallet) -> None:
    made = actions.charge(session, wallet.id, D(30_000), service_type="vps", reference="VpsUsage:7")
    session.commit()
    assert (made.transaction_type, made.amount, made.reference) == ("charge", 30_000, "VpsUsage:7")
    assert (wallet.balance, wallet.total_spent) == (70_000, 30_000)


def test_insufficient_balance_throws_exception(session: Any, wallet: Wallet) -> None:
    with pytest.raises(InsufficientBalance):
        actions.charge(session, wallet.id, D("100000.01"))
    session.commit()
    assert session.scalar(select(func.count()).select_from(WalletTransaction)) == 1
    assert (wallet.balance, wallet.total_spent) == (100_000, 0)
