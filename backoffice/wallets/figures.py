"""The figures of wallets: the sums of their transactions, and each transaction's balance before and after.

A trigger adds to the sums with every transaction, of any program; a transaction inserted with the right balances, read
under the wallet's lock, is not recomputed.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from ..base import N_
from ..figures import Last, figure, total
from .models import Wallet, WalletTransaction
from .rules import CHARGE, PUT_IN, RECHARGE, REFUND, TAKEN_OUT, moved_by


def _sum(title: str, *types: str) -> ColumnElement[Any]:
    """The amounts of the wallet's transactions of these types, and what they are called together."""
    is_one = WalletTransaction.transaction_type.in_(types)
    by = WalletTransaction.wallet_id
    return func.coalesce(total(WalletTransaction.amount, by=by, where=is_one, title=title), 0)


_RECHARGES, _CHARGES, _REFUNDS = N_("Recharges"), N_("Charges"), N_("Refunds")
_ALL_PUT_IN = N_("Recharges, refunds and adjustments")


@figure(
    name="wallet_transactions.balance",
    title=N_("Balance before and after"),
    columns=(WalletTransaction.balance_before, WalletTransaction.balance_after),
    leading=WalletTransaction.balance_after,
    owner=WalletTransaction.wallet_id,
    along=WalletTransaction.id,
    at_once=True,
    formula=N_("What was in the wallet before, and what the transaction moved"),
)
def running(
    transactions: Any = WalletTransaction, last: Any = Last(WalletTransaction)
) -> Select[Any]:
    """The running balance before and after every transaction."""
    t = transactions.c
    moved = moved_by(t.transaction_type, t.amount)
    until = func.sum(moved).over(partition_by=t.wallet_id, order_by=t.id)
    after = func.coalesce(last.c.balance_after, 0) + until
    return select(
        t.id,
        t.wallet_id,
        (after - moved).label("balance_before"),
        after.label("balance_after"),
    ).select_from(transactions.outerjoin(last, last.c.wallet_id == t.wallet_id))


wallet_totals = figure(
    {
        Wallet.balance: _sum(_ALL_PUT_IN, *PUT_IN) - _sum(_CHARGES, *TAKEN_OUT),
        Wallet.total_recharged: _sum(_RECHARGES, RECHARGE),
        Wallet.total_spent: _sum(_CHARGES, CHARGE) - _sum(_REFUNDS, REFUND),
    },
    name="wallets.balance",
    leading=Wallet.balance,
    title=N_("Wallet"),
    incremental=True,
    at_once=True,
    formulas={
        Wallet.balance: N_("Recharges, refunds and adjustments − Charges"),
        Wallet.total_recharged: N_("The recharges of the wallet"),
        Wallet.total_spent: N_("Charges − Refunds"),
    },
)

WALLET_FIGURES = (running, wallet_totals)
"""Every derived figure of wallets; the last one has the balance."""

below_zero = func.sum(Wallet.balance).filter(Wallet.balance < 0)
"""The total of all negative balances."""
