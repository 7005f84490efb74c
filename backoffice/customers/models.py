"""Customers, the parties that orders, meters and wallets belong to, and their merges."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..base import N_, Base, Id, Moment
from ..base.money import Money, no_nan
from ..base.spelling import look_index
from ..people.models import User


class Owing:
    """A record with a stored `balance` and a stored `overpayment`."""

    @hybrid_property
    def net_balance(self: Any) -> Decimal:
        """Balance minus overpayment; negative where more was paid than is owed."""
        net: Decimal = self.balance - self.overpayment
        return net


class Customer(Owing, Base):
    """A party that buys. `code` is the identifier that files and people use for it.

    `merged_into_id`: this row was a duplicate of that one; it stays so that its code still refers to
    it. `balance` is what the customer owes for their meters and `overpayment` what they have paid beyond it, in the
    deployment's currency; both are figures, and overpayment for one meter does not reduce the balance of another.
    """

    __tablename__ = "customers"
    __table_args__ = (
        no_nan("balance", "overpayment"),
        CheckConstraint("merged_into_id <> id", name="merged_into_another"),
        Index("ix_customers_name_id", "name", "id"),
        Index("ix_customers_merged_into_id", "merged_into_id"),
        look_index("customers", "code"),
    )

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    contact_name: Mapped[str] = mapped_column(Text, server_default="", default="")
    phone: Mapped[str] = mapped_column(Text, server_default="", default="")
    city: Mapped[str] = mapped_column(Text, server_default="", default="")
    country: Mapped[str] = mapped_column(Text, server_default="", default="")
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("customers.id"))
    balance: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Balance")}
    )
    overpayment: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Overpayment")}
    )
    balance_changed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When either of them last changed; a trigger stamps it, whichever program writes."""
    use_realtime_calculation: Mapped[bool] = mapped_column(server_default="true", default=True)
    """Whether the customer's gas months are stored whenever they change; else they are computed when read."""
    balance_last_updated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When a stored gas month was last written; a trigger stamps it, whichever program writes."""
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class CustomerMerge(Base):
    """One merge, for the history. `before` and `after` hold the survivor's facts that it changed.

    Merges could be undone until 0.16: `undone_at` and `undone_by_id` are of such a merge.
    """

    __tablename__ = "customer_merges"
    __table_args__ = (
        CheckConstraint("survivor_id <> duplicate_id", name="two_customers"),
        Index("ix_customer_merges_survivor_id", "survivor_id"),
        Index(
            "ix_customer_merges_duplicate_id",
            "duplicate_id",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    survivor_id: Mapped[int] = mapped_column(ForeignKey(Customer.id, ondelete="CASCADE"))
    duplicate_id: Mapped[int] = mapped_column(ForeignKey(Customer.id, ondelete="CASCADE"))
    merged_by_id: Mapped[int | None] = mapped_column(ForeignKey(User.id))
    merged_at: Mapped[Moment]
    before: Mapped[dict[str, Any]] = mapped_column(JSONB)
    after: Mapped[dict[str, Any]] = mapped_column(JSONB)
    undone_by_id: Mapped[int | None] = mapped_column(ForeignKey(User.id))
    undone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    survivor: Mapped[Customer] = relationship(foreign_keys=survivor_id)
    duplicate: Mapped[Customer] = relationship(foreign_keys=duplicate_id)
    merged_by: Mapped[User | None] = relationship(foreign_keys=merged_by_id)
