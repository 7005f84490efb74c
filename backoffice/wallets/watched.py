"""Which figures are recalculated for a wallet, and for a customer's wallets."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..customers.models import Customer
from ..drift.recalculation import Owners, OwnersOf
from ..security.rights import allowed
from .figures import WALLET_FIGURES
from .models import Wallet


def of_wallets(ids: list[int]) -> Owners:
    """Every figure of these wallets."""
    return {figure.name: ids for figure in WALLET_FIGURES}


def _of_wallet(session: Session, user: Any, wallet_id: int) -> Owners | None:
    may_read = allowed(user, "wallets.read") and session.get(Wallet, wallet_id) is not None
    return of_wallets([wallet_id]) if may_read else None


def _of_customer(session: Session, user: Any, customer_id: int) -> Owners | None:
    if not allowed(user, "wallets.read") or session.get(Customer, customer_id) is None:
        return None
    wallets = select(Wallet.id).where(Wallet.customer_id == customer_id).order_by(Wallet.id)
    return of_wallets(list(session.scalars(wallets)))


OWNERS = (OwnersOf("wallet", _of_wallet), OwnersOf("customer", _of_customer))
