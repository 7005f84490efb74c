"""Wallets on the screens of customers, when they are deleted, and when they are merged."""

from sqlalchemy import func

from ..base import N_, counted
from ..customers.owned_records import Belonging
from ..customers.triggers import follows_merged
from .models import Wallet

WALLETS = Belonging(
    "wallets",
    N_("Wallets"),
    counted("%(num)s wallet", "%(num)s wallets"),
    Wallet,
    customer=Wallet.customer_id,
    label=Wallet.number,
    day=func.date(Wallet.created_at),
    amount=Wallet.balance,
    endpoint="wallets.index",
)

OWNED = (WALLETS,)
TRIGGERS = (follows_merged("wallets"),)
