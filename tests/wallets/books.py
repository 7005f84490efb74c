"""Stored figures of wallets, and the figures that Python computes from their transactions."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from backoffice.wallets.models import Wallet, WalletTransaction

Sums = tuple[Decimal, Decimal, Decimal]
"""Balance, total recharged, total spent."""


def sums(session: Any, wallet_id: int) -> Sums:
    """The stored figures of a wallet."""
    session.rollback()
    w = Wallet
    found = select(w.balance, w.total_recharged, w.total_spent).where(w.id == wallet_id)
    return tuple(session.execute(found).one())  # type: ignore[return-value]


def transactions(session: Any, wallet_id: int) -> Sequence[Any]:
    """Type, amount, balance before and after of each, in their order."""
    session.rollback()
    t = WalletTransaction
    rows = select(t.transaction_type, t.amount, t.balance_before, t.balance_after)
    return session.execute(rows.where(t.wallet_id == wallet_id).order_by(t.id)).all()  # type: ignore[no-any-return]


SIGNS: Mapping[str, tuple[int, int, int]] = {
    "recharge": (1, 1, 0), "charge": (-1, 0, 1), "refund": (1, 0, -1), "adjustment": (1, 0, 0),
}  # fmt: skip
"""By type, what an amount adds to balance, total recharged and total spent."""


def computed_by_python(
    moves: Sequence[tuple[str, Decimal]],
) -> tuple[Sums, list[tuple[Decimal, Decimal]]]:
    """The figures of a wallet by its transactions, and the balance before and after each of them."""
    held, beside = [Decimal(0)] * 3, []
    for kind, amount in moves:
        before = held[0]
        held = [total + sign * amount for total, sign in zip(held, SIGNS[kind], strict=True)]
        beside.append((before, held[0]))
    return (held[0], held[1], held[2]), beside


def is_in_step(session: Any, wallet_id: int) -> bool:
    """Whether the sums, and the balances of the transactions, are as Python computes them."""
    stored = transactions(session, wallet_id)
    reported, beside = computed_by_python([(kind, amount) for kind, amount, *_ in stored])
    return sums(session, wallet_id) == reported and [tuple(row[2:]) for row in stored] == beside
