"""A shape modelled on wallets: sums over all movements, and each movement's balance before and after."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import ForeignKey, Index, Select, Text, bindparam, case, func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money
from backoffice.figures import Last, Registry, total

from .shapes import Facts, Rendered, Shape

D = Decimal
KINDS = ("recharge", "charge", "refund")


class Base(DeclarativeBase):
    """Tables of this shape only."""


def _kept() -> Any:
    return mapped_column(server_default="0", default=D(0))


class Wallet(Base):
    """The owner, and its sums."""

    __tablename__ = "shape_wallets"
    id: Mapped[Id]
    balance: Mapped[Money] = _kept()
    recharged: Mapped[Money] = _kept()
    spent: Mapped[Money] = _kept()


class Movement(Base):
    """A deposit into a wallet or a charge from it."""

    __tablename__ = "shape_movements"
    __table_args__ = (Index("ix_shape_movements", "wallet_id", "id"),)
    id: Mapped[Id]
    wallet_id: Mapped[int] = mapped_column(ForeignKey(Wallet.id))
    kind: Mapped[str] = mapped_column(Text)
    amount: Mapped[Money]
    balance_before: Mapped[Money] = _kept()
    balance_after: Mapped[Money] = _kept()


registry = Registry("wallets")


def _sum(*kinds: str) -> Any:
    of_kinds = Movement.kind.in_(kinds)
    return func.coalesce(total(Movement.amount, by=Movement.wallet_id, where=of_kinds), 0)


sums = registry.figure(
    {
        Wallet.balance: _sum("recharge", "refund") - _sum("charge"),
        Wallet.recharged: _sum("recharge"),
        Wallet.spent: _sum("charge") - _sum("refund"),
    },
    name="wallets",
    title="Wallet",
    incremental=True,
    at_once=True,
)


@registry.figure(
    columns=(Movement.balance_before, Movement.balance_after),
    owner=Movement.wallet_id,
    along=Movement.id,
    at_once=True,
    name="running",
    title="Running balance",
)
def running(movements: Any = Movement, last: Any = Last(Movement)) -> Select[Any]:
    """The running balance of every movement."""
    m = movements.c
    moved = case((m.kind == "charge", -m.amount), else_=m.amount)
    until = func.sum(moved).over(partition_by=m.wallet_id, order_by=m.id)
    after = func.coalesce(last.c.balance_after, 0) + until
    return select(
        m.id,
        m.wallet_id,
        (after - moved).label("balance_before"),
        after.label("balance_after"),
    ).select_from(movements.outerjoin(last, last.c.wallet_id == m.wallet_id))


# Charging


class InsufficientBalance(Exception):
    """The wallet's balance is below the requested amount."""


_HELD = select(Wallet.balance).where(Wallet.id == bindparam("id")).with_for_update(key_share=True)
_MADE = insert(Movement.__table__)


def charge(session: Session, wallet: int, amount: Decimal) -> None:
    """Take `amount` out: one statement locks and reads, one inserts with the balances computed from that.

    Raises:
        InsufficientBalance: when the balance is lower.
    """
    connection = session.connection()
    held = connection.scalar(_HELD, {"id": wallet})
    _taken(connection, wallet, held, amount)


def charge_unlocked(session: Session, wallet: int, amount: Decimal) -> None:
    """The same without the lock: it loses updates."""
    connection = session.connection()
    held = connection.scalar(select(Wallet.balance).where(Wallet.id == wallet))
    _taken(connection, wallet, held, amount)


def _taken(connection: Any, wallet: int, held: Decimal | None, amount: Decimal) -> None:
    if held is None or held < amount:
        raise InsufficientBalance(f"{held} is less than {amount}.")
    row = {"wallet_id": wallet, "kind": "charge", "amount": amount}
    row |= {"balance_before": held, "balance_after": held - amount}
    connection.execute(_MADE, row)


# The oracle in Python


def oracle(facts: Facts) -> Rendered:
    """Every figure of wallets."""
    wallets = {row["id"]: (D(0), D(0), D(0)) for row in facts[Wallet]}
    movements = {}
    for row in sorted(facts[Movement], key=lambda row: row["id"]):
        balance, recharged, spent = wallets[row["wallet_id"]]
        amount, kind = row["amount"], row["kind"]
        after = balance - amount if kind == "charge" else balance + amount
        movements[row["id"],] = (balance, after)
        recharged += amount if kind == "recharge" else 0
        spent += {"charge": amount, "refund": -amount}.get(kind, D(0))
        wallets[row["wallet_id"]] = (after, recharged, spent)
    return {
        "wallets": {(key,): reported for key, reported in wallets.items()},
        "running": movements,
    }


def book() -> list[Any]:
    """Two wallets with alternating movements."""
    return [
        Movement(wallet_id=wallet, kind=kind, amount=D(amount) * wallet)
        for kind, amount in zip((*KINDS, "charge"), (100, 30, 7, 1), strict=True)
        for wallet in (1, 2)
    ]


WALLETS = Shape(
    name="wallets",
    base=Base,
    registry=registry,
    oracle=oracle,
    entered={
        Movement: {
            "wallet_id": st.integers(1, 3), "kind": st.sampled_from(KINDS),
            "amount": st.decimals(0, 9999999, places=2),
        },
    },
    first=lambda: (Wallet() for _ in range(3)),
    book=book,
)  # fmt: skip
