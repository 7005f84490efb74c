"""The wallets section of a customer's page, and wallets as rows that block a deletion and follow a merge."""

from typing import Any

from sqlalchemy import select

from .. import lists
from ..app.extensions import db
from ..base import N_, counted
from ..base.business_days import business_day
from ..customers.models import Customer
from ..customers.owned_records import OwnedRecord
from ..security.rights import allowed
from ..web.additions import Addition
from .listing import wallets_of
from .models import Wallet

WALLETS = OwnedRecord(
    "wallets",
    N_("Wallets"),
    counted("%(num)s wallet", "%(num)s wallets"),
    Wallet,
    customer=Wallet.customer_id,
    label=Wallet.number,
    day=business_day(Wallet.created_at),
    amount=Wallet.balance,
    endpoint="wallets.index",
)


def _part(customer: Customer, user: Any, _number: int) -> dict[str, Any] | None:
    """The customer's wallets; None without the permission, or where there is none."""
    owned = select(Wallet.id).where(Wallet.customer_id == customer.id)
    if not allowed(user, "wallets.read") or not db.session.scalar(select(owned.exists())):
        return None
    return {
        "listing": lists.part(wallets_of(customer), endpoint="customers.record", code=customer.code)
    }


PARTS = (Addition(Customer, "wallets/of_customer.html", _part),)
OWNED = (WALLETS,)
