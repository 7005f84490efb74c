"""Tables of the core's own tests, with every kind of figure that a domain may declare."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import ForeignKey, Index, Numeric, Select, Text, and_, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money, Quantity, UnitPrice, rounded
from backoffice.figures import Registry, total


class Base(DeclarativeBase):
    """Tables of these tests only; created and dropped by their fixture."""


ZERO = Decimal(0)


class Shelf(Base):
    """Third level: the sum of its boxes' totals."""

    __tablename__ = "t_shelves"
    id: Mapped[Id]
    total: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Box(Base):
    """An owner with sums over its items, one of them filtered, and over things through slots."""

    __tablename__ = "t_boxes"
    id: Mapped[Id]
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey(Shelf.id))
    total: Mapped[Money] = mapped_column(server_default="0", default=ZERO)
    red: Mapped[Money] = mapped_column(server_default="0", default=ZERO)
    weight: Mapped[Quantity] = mapped_column(server_default="0", default=ZERO)


class Item(Base):
    """A row formula: amount = quantity × price."""

    __tablename__ = "t_items"
    id: Mapped[Id]
    box_id: Mapped[int] = mapped_column(ForeignKey(Box.id, ondelete="CASCADE"), index=True)
    colour: Mapped[str] = mapped_column(Text, server_default="red", default="red")
    quantity: Mapped[Quantity]
    price: Mapped[UnitPrice]
    note: Mapped[str] = mapped_column(Text, server_default="", default="")
    amount: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Thing(Base):
    """Something placed in boxes through slots."""

    __tablename__ = "t_things"
    id: Mapped[Id]
    weight: Mapped[Quantity]


class Slot(Base):
    """The assignment of a thing to a box, and whether it counts."""

    __tablename__ = "t_slots"
    id: Mapped[Id]
    box_id: Mapped[int] = mapped_column(ForeignKey(Box.id), index=True)
    thing_id: Mapped[int] = mapped_column(ForeignKey(Thing.id), index=True)
    active: Mapped[bool] = mapped_column(server_default="true", default=True)


class Movement(Base):
    """A running balance: each row's balance is that of the rows before it plus its own amount."""

    __tablename__ = "t_movements"
    id: Mapped[Id]
    box_id: Mapped[int] = mapped_column(ForeignKey(Box.id), index=True)
    on: Mapped[date]
    amount: Mapped[Money]
    balance: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Month(Base):
    """Derived rows with an entered fact (the target) and several columns."""

    __tablename__ = "t_months"
    __table_args__ = (Index("uq_t_months", "box_id", "month", unique=True),)
    id: Mapped[Id]
    box_id: Mapped[int] = mapped_column(ForeignKey(Box.id, ondelete="CASCADE"))
    month: Mapped[str] = mapped_column(Text)
    target: Mapped[Money | None]
    added: Mapped[Money] = mapped_column(server_default="0", default=ZERO)
    moves: Mapped[int] = mapped_column(server_default="0", default=0)


class Price(Base):
    """A price from a date on."""

    __tablename__ = "t_prices"
    id: Mapped[Id]
    box_id: Mapped[int] = mapped_column(ForeignKey(Box.id), index=True)
    since: Mapped[date]
    price: Mapped[UnitPrice]


class Usage(Base):
    """Several columns in one pass: the price that applied on the day, and the cost at it."""

    __tablename__ = "t_usages"
    id: Mapped[Id]
    box_id: Mapped[int] = mapped_column(ForeignKey(Box.id), index=True)
    on: Mapped[date]
    quantity: Mapped[Quantity]
    price_used: Mapped[UnitPrice] = mapped_column(server_default="0", default=ZERO)
    cost: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Purse(Base):
    """An incremental figure: two sums over a long history."""

    __tablename__ = "t_purses"
    id: Mapped[Id]
    balance: Mapped[Money] = mapped_column(server_default="0", default=ZERO)
    received: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Transfer(Base):
    """Money from one purse to another; either may be external."""

    __tablename__ = "t_transfers"
    id: Mapped[Id]
    from_id: Mapped[int | None] = mapped_column(ForeignKey(Purse.id), index=True)
    to_id: Mapped[int | None] = mapped_column(ForeignKey(Purse.id), index=True)
    amount: Mapped[Money]
    void: Mapped[bool] = mapped_column(server_default="false", default=False)


registry = Registry("tests")
figure = registry.figure

# Declared from the top down on purpose, because the registry sorts.
shelf_total = figure(
    Shelf.total,
    func.coalesce(total(Box.total, by=Box.shelf_id), 0),
    title="Shelf total",
)
box_totals = figure(
    {
        Box.total: func.coalesce(total(Item.amount, by=Item.box_id), 0),
        Box.red: func.coalesce(total(Item.amount, by=Item.box_id, where=Item.colour == "red"), 0),
    },
    name="t_boxes.totals",
    title="Box totals",
)
item_amount = figure(
    Item.amount,
    rounded(Item.quantity * Item.price),
    owner=Item.box_id,
    title="Item amount",
)


@figure(Box.weight, title="Box weight", reached_by={Thing: Slot.thing_id})
def box_weight(slot: Any = Slot, thing: Any = Thing) -> Select[Any]:
    """The weight of the things in active slots."""
    return (
        select(slot.c.box_id.label("id"), func.sum(thing.c.weight).label("weight"))
        .select_from(slot.join(thing, thing.c.id == slot.c.thing_id))
        .where(slot.c.active)
        .group_by(slot.c.box_id)
    )


@figure(Movement.balance, owner=Movement.box_id, title="Running balance")
def movement_balance(movement: Any = Movement) -> Select[Any]:
    """The sum of the box's movements up to this one."""
    return select(
        movement.c.id,
        movement.c.box_id,
        func.sum(movement.c.amount)
        .over(partition_by=movement.c.box_id, order_by=(movement.c.on, movement.c.id))
        .label("balance"),
    )


@figure(
    columns=(Month.added, Month.moves),
    row_per=(Month.box_id, Month.month),
    owner=Month.box_id,
    entered_rows=Month.target.is_not(None),
    name="t_months.sums",
    title="Monthly sums",
)
def month_sums(movement: Any = Movement) -> Select[Any]:
    """The movements of each month."""
    month = func.to_char(movement.c.on, "YYYY-MM")
    return select(
        movement.c.box_id,
        month.label("month"),
        func.sum(movement.c.amount).label("added"),
        func.count().label("moves"),
        func.max(movement.c.amount).label("largest"),
    ).group_by(movement.c.box_id, month)


@figure(
    columns=(Usage.price_used, Usage.cost),
    owner=Usage.box_id,
    name="t_usages.cost",
    title="Cost of use",
)
def usage_cost(usage: Any = Usage, price: Any = Price) -> Select[Any]:
    """Quantity × the price that applied on the day; none before the first price."""
    held = (
        select(price.c.price)
        .where(and_(price.c.box_id == usage.c.box_id, price.c.since <= usage.c.on))
        .order_by(price.c.since.desc(), price.c.id.desc())
        .limit(1)
        .correlate(usage)
        .scalar_subquery()
    )
    priced = select(
        usage.c.id,
        usage.c.box_id,
        usage.c.quantity,
        func.coalesce(held, 0).label("price_used"),
    ).subquery()
    return select(
        priced.c.id,
        priced.c.box_id,
        priced.c.price_used,
        func.round(priced.c.quantity * priced.c.price_used, 2, type_=Numeric(15, 2)).label("cost"),
    )


purse_sums = figure(
    {
        Purse.balance: func.coalesce(
            total(Transfer.amount, by=Transfer.to_id, where=~Transfer.void), 0
        )
        - func.coalesce(total(Transfer.amount, by=Transfer.from_id, where=~Transfer.void), 0),
        Purse.received: func.coalesce(
            total(Transfer.amount, by=Transfer.to_id, where=~Transfer.void), 0
        ),
    },
    name="t_purses.sums",
    title="Purse",
    incremental=True,
)
