"""The demo company's wallets: a few customers with prepaid balances that services charge every week."""

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..base import periods
from ..customers.models import Customer
from ..wallets import actions
from ..wallets.models import Wallet
from .fitting import fit

CUSTOMERS = 8
WEEKS = 12
SERVICES = (
    ("storage", "Cold storage, a week", "18.50"),
    ("courier", "Deliveries of a week", "31.20"),
)
RECHARGED = ("300.00", "500.00")
LOW_LIMIT = "60.00"
LOW, CORRECTED = 2, 5
"""The customer with a low balance, and the one with an adjustment below zero."""


def load(session: Session) -> None:
    """Open the wallets, and post three months of transactions in each. Never commits."""
    customers = session.scalars(select(Customer).order_by(Customer.code).limit(CUSTOMERS)).all()
    now = periods.start_of(periods.today())
    for place, customer in enumerate(customers):
        wallet = actions.wallet_of(session, customer.id)
        wallet.description = "Storage and deliveries"
        wallet.low_limit = _amount(LOW_LIMIT)
        _post_weeks(session, wallet, place, now - timedelta(weeks=WEEKS))


def _post_weeks(session: Session, wallet: Wallet, place: int, begin: datetime) -> None:
    recharged = _amount(RECHARGED[place % 2])
    actions.post(
        session, wallet.id, "recharge", recharged, description="Bank transfer", created_at=begin
    )
    for week in range(WEEKS - place % 3):
        service, description, price = SERVICES[(place + week) % 2]
        at = begin + timedelta(weeks=week, hours=place)
        amount = min(_amount(price), _held(session, wallet))
        if amount > 0:
            actions.post(
                session, wallet.id, "charge", amount,
                service_type=service, description=description, created_at=at,
            )  # fmt: skip
    _finish(session, wallet, place)


def _finish(session: Session, wallet: Wallet, place: int) -> None:
    held = _held(session, wallet)
    if place == LOW:
        actions.charge(session, wallet.id, held - _amount("12.00"), description="A great delivery")
    elif place == CORRECTED:
        reason = "A transfer came back"
        actions.adjust(session, wallet.id, -held - _amount("25.00"), description=reason)
    elif place % 4 == 0:
        actions.refund(session, wallet.id, _amount("10.00"), description="A delivery came late")


def _held(session: Session, wallet: Wallet) -> Decimal:
    """The wallet's current balance."""
    held: Decimal = session.scalars(select(Wallet.balance).where(Wallet.id == wallet.id)).one()
    return held


def _amount(dollars: str) -> Decimal:
    return fit().price(Decimal(dollars))
