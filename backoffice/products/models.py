"""Products and their prices, each in force from a day on."""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..base import Base, Id, Moment
from ..base.money import UnitPrice, no_nan
from ..base.spelling import look_index


class Product(Base):
    """Something that is sold. `code` is the identifier that files and people use for it.

    `kind` is the kind of order line that it is sold as. An inactive product stays on the lines that
    have it, and cannot be put on others.
    """

    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("kind IN ('package','addition','promo','reduction')", name="kind"),
        look_index("products", "code"),
    )

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default="package", default="package")
    unit: Mapped[str] = mapped_column(Text, server_default="", default="")
    is_active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]

    prices: Mapped[list["ProductPrice"]] = relationship(
        order_by="ProductPrice.effective_from.desc()", viewonly=True
    )


class ProductPrice(Base):
    """The unit price of a product from a day on, until its next price."""

    __tablename__ = "product_prices"
    __table_args__ = (
        UniqueConstraint("product_id", "effective_from"),
        no_nan("unit_price"),
    )

    id: Mapped[Id]
    product_id: Mapped[int] = mapped_column(ForeignKey(Product.id))
    effective_from: Mapped[date]
    unit_price: Mapped[UnitPrice]
    created_at: Mapped[Moment]
