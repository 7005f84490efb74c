"""Price changes, and the outcome for each order that a user chose to change."""

from datetime import date
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..audit.models import ACTOR_DEFAULT
from ..base import Base, Id, Moment
from ..base.money import Money, UnitPrice, no_nan
from ..figures.models import Xid8
from ..products.models import Product


class PriceChange(Base):
    """One price that was stored and applied to the chosen orders. Append-only.

    `previous_price` was in force on `effective_from` before; null where there was none. `xid` is the
    transaction's id, by which an order's history finds the saves that this change made.
    """

    __tablename__ = "price_changes"
    __table_args__ = (
        no_nan("unit_price", "previous_price"),
        Index("ix_price_changes_product_id", "product_id"),
    )

    id: Mapped[Id]
    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id))
    effective_from: Mapped[date]
    unit_price: Mapped[UnitPrice]
    previous_price: Mapped[UnitPrice | None]
    xid: Mapped[int] = mapped_column(Xid8, server_default=func.pg_current_xact_id())
    actor: Mapped[str] = mapped_column(Text, server_default=text(ACTOR_DEFAULT))
    created_at: Mapped[Moment]

    product: Mapped[Product] = relationship()

    @property
    def difference(self) -> Decimal | None:
        """By how much the price changed; None where there was no price before."""
        before = self.previous_price
        return None if before is None else self.unit_price - before


class PriceChangeOrder(Base):
    """The outcome for one chosen order: its grand total before and after, or why it was left unchanged. Append-only.

    No foreign key to the order, so that the record stays when the order is deleted.
    """

    __tablename__ = "price_change_orders"
    __table_args__ = (
        no_nan("before", "after"),
        CheckConstraint(
            "outcome IN ('applied','changed','closed','impossible','gone')", name="outcome"
        ),
        Index("ix_price_change_orders_order_id", "order_id"),
    )

    price_change_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey(PriceChange.id), primary_key=True
    )
    order_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    number: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    before: Mapped[Money | None]
    after: Mapped[Money | None]

    @property
    def difference(self) -> Decimal | None:
        """By how much the grand total changed; None where the order was left unchanged."""
        before, after = self.before, self.after
        return None if before is None or after is None else after - before
