"""Orders and their lines: entered columns, and columns that hold figures."""

from datetime import date
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..base import N_, Base, Id, Moment
from ..base.money import Money, Quantity, UnitPrice, no_nan
from ..base.spelling import look_index
from ..customers.models import Customer
from ..people.models import User
from ..products.models import Product
from ..products.rules import SOLD_AS

KINDS = tuple(SOLD_AS)
"""The kinds of order line; each adds up to one component of the order."""

COMPONENT_OF_KIND = {
    "package": "total_price",
    "addition": "additions",
    "promo": "promo",
    "reduction": "reductions",
}
"""Kind → the order's column that its lines add up to."""


class Order(Base):
    """A sale. Closed when `closing_date` is set; without one it counts toward no target.

    `itemised` names the kinds that have the sum of their lines as component; the component of any
    other kind is an amount that a user entered. All amounts are in the deployment's currency.
    """

    __tablename__ = "orders"
    __table_args__ = (
        no_nan("total_price", "additions", "promo", "reductions", "grand_total"),
        CheckConstraint(
            "itemised <@ ARRAY['package','addition','promo','reduction']", name="itemised_kinds"
        ),
        Index(
            "ix_orders_account_manager_id_closing_date_grand_total",
            "account_manager_id", "closing_date", "grand_total",
        ),
        Index("ix_orders_grand_total", "grand_total"),
        look_index("orders", "number"),
        Index("ix_orders_customer_id", "customer_id"),
        Index("ix_orders_order_date_id", "order_date", "id"),
        Index(
            "ix_orders_account_manager_id_order_date_id", "account_manager_id", "order_date", "id"
        ),
        Index(
            "ix_orders_closing_date_id",
            text("closing_date DESC NULLS LAST"), text("id DESC"),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(Text, unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    account_manager_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    order_date: Mapped[date]
    closing_date: Mapped[date | None]
    itemised: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=text("'{}'"), default=list
    )
    total_price: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Package price")}
    )
    additions: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Additions")}
    )
    promo: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Promo")}
    )
    reductions: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Reductions")}
    )
    grand_total: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Grand total")}
    )
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    customer: Mapped[Customer] = relationship()
    account_manager: Mapped[User] = relationship()
    lines: Mapped[list["OrderLine"]] = relationship(
        order_by="OrderLine.position, OrderLine.id",
        cascade="all, delete-orphan",
        passive_deletes=True,
        back_populates="order",
    )


class OrderLine(Base):
    """One line of an order. `amount` is a figure: quantity × unit price, rounded.

    `product_id` is the product that was sold, if it is in the price list; the line's own description and
    price are facts that may differ from the product's.
    """

    __tablename__ = "order_lines"
    __table_args__ = (
        no_nan("quantity", "unit_price", "amount"),
        CheckConstraint("kind IN ('package','addition','promo','reduction')", name="kind"),
        Index("ix_order_lines_order_id", "order_id"),
        Index(
            "ix_order_lines_product_id",
            "product_id",
            postgresql_where=text("product_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(ForeignKey(Order.id, ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(server_default="0", default=0)
    kind: Mapped[str] = mapped_column(Text)
    product_id: Mapped[int | None] = mapped_column(ForeignKey(Product.id))
    description: Mapped[str] = mapped_column(Text, server_default="", default="")
    quantity: Mapped[Quantity] = mapped_column(info={"label": N_("Quantity")})
    unit_price: Mapped[UnitPrice] = mapped_column(info={"label": N_("Unit price")})
    amount: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Line amount")}
    )

    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product | None] = relationship(viewonly=True)
