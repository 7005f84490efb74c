"""The balance of a wallet at the end of each of the last days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from ..base import periods
from ..base.business_days import business_day
from .models import Wallet, WalletTransaction

DAYS = 30
"""Days that are shown, today among them."""

LOOKED_AT = 5_000
"""Newest transactions that are read; of a wallet with more in these days, fewer days are shown."""


@dataclass(frozen=True)
class DayBalance:
    """A day and the closing balance of the wallet."""

    day: date
    balance: Decimal


def balances_by_day(session: Session, wallet: Wallet) -> Sequence[DayBalance]:
    """The last days, oldest first, except those with transactions older than the newest ones read; always today."""
    today = periods.today()
    closing = _closing(session, wallet.id)
    begins = today - timedelta(days=DAYS - 1)
    if sum(count for _balance, count in closing.values()) >= LOOKED_AT:
        begins = min(max(begins, min(closing) + timedelta(days=1)), today)
    earlier = max((day for day in closing if day < begins), default=None)
    balance = closing[earlier][0] if earlier else Decimal(0)
    days = []
    for number in range((today - begins).days + 1):
        day = begins + timedelta(days=number)
        balance = closing.get(day, (balance, 0))[0]
        days.append(DayBalance(day, balance))
    return days


def _closing(session: Session, wallet_id: int) -> dict[date, tuple[Decimal, int]]:
    """Day → the balance after its last transaction, and how many of the newest transactions it has."""
    t = WalletTransaction
    newest = (
        select(t.id, t.created_at, t.balance_after)
        .where(t.wallet_id == wallet_id)
        .order_by(t.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    day = business_day(newest.c.created_at)
    counted = func.count().over(partition_by=day)
    rows = select(day, newest.c.balance_after, counted).order_by(day, newest.c.id.desc())
    return {
        day: (balance, count) for day, balance, count in session.execute(rows.ext(distinct_on(day)))
    }
