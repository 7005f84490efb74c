"""Sellers, their sales, and each seller's monthly tallies, which are incremental."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Date,
    DateTime,
    Engine,
    ForeignKey,
    NullPool,
    Select,
    UniqueConstraint,
    cast,
    create_engine,
    func,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money, rounded
from backoffice.figures import Registry

from .worlds import World

D = Decimal
Build = Callable[[type[DeclarativeBase], Registry], World]


class Base(DeclarativeBase):
    """Tables of these tests only."""


class Seller(Base):
    """The owner."""

    __tablename__ = "i_sellers"
    id: Mapped[Id]


class Sale(Base):
    """The source; open without a day. `amount` is itself a figure."""

    __tablename__ = "i_sales"
    id: Mapped[Id]
    seller_id: Mapped[int] = mapped_column(ForeignKey(Seller.id))
    closed_on: Mapped[date | None]
    price: Mapped[Money] = mapped_column(server_default="0", default=D(0))
    fee: Mapped[Money | None]
    is_gift: Mapped[bool] = mapped_column(server_default="false", default=False)
    amount: Mapped[Money] = mapped_column(server_default="0", default=D(0))


class Tally(Base):
    """The derived rows: a seller's month."""

    __tablename__ = "i_tallies"
    __table_args__ = (
        UniqueConstraint("seller_id", "month"),
        CheckConstraint("sales >= 0", name="i_tallies_sales"),
    )
    id: Mapped[Id]
    seller_id: Mapped[int] = mapped_column(ForeignKey(Seller.id))
    month: Mapped[date]
    target: Mapped[Money | None]
    amount: Mapped[Money] = mapped_column(server_default="0", default=D(0))
    net: Mapped[Money] = mapped_column(server_default="0", default=D(0))
    gifts: Mapped[int] = mapped_column(server_default="0", default=0)
    maybe: Mapped[Money | None]
    sales: Mapped[int] = mapped_column(server_default="0", default=0)


def two_sellers(build: Build) -> World:
    """A world of two sellers without a sale."""
    made = build(Base, declared())
    with made.sessions() as session:
        session.add_all([Seller(), Seller()])
        session.commit()
    return made


def by_month(sale: Any = Sale) -> Select[Any]:
    """Each seller's closed sales by month; fees may be NULL, gifts are counted separately."""
    month = cast(func.date_trunc("month", cast(sale.c.closed_on, DateTime)), Date)
    fees = func.coalesce(func.sum(sale.c.fee), 0)
    return (
        select(
            sale.c.seller_id,
            month.label("month"),
            func.sum(sale.c.amount).label("amount"),
            (func.sum(sale.c.amount) - fees).label("net"),
            func.count().filter(sale.c.is_gift).label("gifts"),
            func.count().label("sales"),
            func.max(sale.c.amount).label("largest"),
        )
        .where(sale.c.closed_on.is_not(None))
        .group_by(sale.c.seller_id, month)
    )


COLUMNS = (Tally.amount, Tally.net, Tally.gifts, Tally.sales)
KEY = (Tally.seller_id, Tally.month)


def declared(definition: Callable[..., Select[Any]] = by_month, **options: Any) -> Registry:
    """A registry with the sale's amount and the tallies built on it."""
    registry = Registry("increments")
    registry.figure(Sale.amount, rounded(Sale.price * 2), owner=Sale.seller_id, title="Amount")
    given = {
        "columns": COLUMNS,
        "row_per": KEY,
        "entered_rows": Tally.target.is_not(None),
    } | options
    registry.figure(
        owner=Tally.seller_id, name="i_tallies.sums", title="Tally", incremental=True, **given
    )(definition)
    return registry


def owner(url: str) -> Engine:
    """An engine of the tables' owner, who upgrades; its connections are not pooled."""
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)


def rows_of(world: World) -> dict[tuple[int, date], tuple[Any, ...]]:
    """The tallies by seller and month."""
    with world.sessions() as session:
        found = session.execute(select(*KEY, Tally.amount, Tally.sales)).all()
        return {(seller, month): (amount, sales) for seller, month, amount, sales in found}
