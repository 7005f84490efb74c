"""Wallets and their transactions."""

from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..audit.models import ACTOR_DEFAULT
from ..base import N_, Base, Id, Moment
from ..base.money import Money, no_nan
from ..base.spelling import look_index
from ..customers.models import Customer
from .rules import ACTIVE, SUSPENDED


class Wallet(Base):
    """A customer's prepaid balance, in the deployment's currency.

    `balance`, `total_recharged` and `total_spent` are figures. A suspension with a `suspension_reason` is a person's,
    and stays until a person lifts it; one without came from an adjustment below zero, and ends at zero. `low_limit` is
    the balance below which Today shows a notice; 0: never.
    """

    __tablename__ = "wallets"
    __table_args__ = (
        no_nan("low_limit", "balance", "total_recharged", "total_spent"),
        CheckConstraint("status IN ('active', 'suspended', 'closed')", name="status"),
        CheckConstraint("low_limit >= 0", name="low_limit"),
        Index("ix_wallets_customer_id", "customer_id"),
        look_index("wallets", "number"),
        Index(
            "ix_wallets_attention",
            "balance",
            postgresql_where=text("status = 'suspended' OR (status = 'active' AND balance < low_limit)"),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(Text, unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    description: Mapped[str] = mapped_column(Text, server_default="", default="")
    status: Mapped[str] = mapped_column(Text, server_default=ACTIVE, default=ACTIVE)
    suspension_reason: Mapped[str] = mapped_column(Text, server_default="", default="")
    closing_reason: Mapped[str] = mapped_column(Text, server_default="", default="")
    low_limit: Mapped[Money] = mapped_column(server_default="0", default=Decimal(0))
    balance: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Balance")}
    )
    total_recharged: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Total recharged")}
    )
    total_spent: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Total spent")}
    )
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    customer: Mapped[Customer] = relationship()

    @hybrid_property
    def is_low(self) -> Any:
        """Whether it is active and its balance is below its limit."""
        return (self.status == ACTIVE) & (self.balance < self.low_limit)

    @hybrid_property
    def needs_attention(self) -> Any:
        """Whether it is suspended, or below its limit; an index supports the condition."""
        return (self.status == SUSPENDED) | self.is_low


class WalletTransaction(Base):
    """A transaction of a wallet. Append-only: a correction is another transaction.

    `amount` is positive, or of an adjustment also negative. `balance_before` and `balance_after` are a figure: the
    wallet's balance before and after it. An `idempotency_key` is unique for ever.
    """

    __tablename__ = "wallet_transactions"
    __table_args__ = (
        no_nan("amount", "balance_before", "balance_after"),
        CheckConstraint(
            "transaction_type IN ('recharge', 'charge', 'refund', 'adjustment')",
            name="transaction_type",
        ),
        CheckConstraint(
            "amount > 0 OR (transaction_type = 'adjustment' AND amount < 0)", name="amount"
        ),
        Index("ix_wallet_transactions_wallet_id_id", "wallet_id", "id"),
    )

    id: Mapped[Id]
    wallet_id: Mapped[int] = mapped_column(ForeignKey(Wallet.id))
    transaction_type: Mapped[str] = mapped_column(Text)
    amount: Mapped[Money] = mapped_column(info={"label": N_("Amount")})
    service_type: Mapped[str] = mapped_column(Text, server_default="", default="")
    description: Mapped[str] = mapped_column(Text, server_default="", default="")
    reference: Mapped[str] = mapped_column(Text, server_default="", default="")
    idempotency_key: Mapped[str | None] = mapped_column(Text, unique=True)
    balance_before: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Balance before")}
    )
    balance_after: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Balance after")}
    )
    made_by: Mapped[str] = mapped_column(
        Text, server_default=text(ACTOR_DEFAULT), info={"is_actor": True}
    )
    created_at: Mapped[Moment]

    wallet: Mapped[Wallet] = relationship()
