"""What the core accepts, it keeps right: trees, hostile names and constants, decimals, days and texts."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import ForeignKey, Numeric, Select, Text, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money, Quantity, UnitPrice
from backoffice.figures import Registry, total
from backoffice.figures.keeping import triggers
from backoffice.figures.showing.previews import preview

from .worlds import World

D = Decimal
Build = Callable[[type[DeclarativeBase], Registry], World]


def test_a_tree_keeps_the_totals_of_its_branches(build: Build) -> None:
    class Base(DeclarativeBase):
        pass

    class Node(Base):
        __tablename__ = "h_nodes"
        id: Mapped[Id]
        parent_id: Mapped[int | None] = mapped_column(ForeignKey("h_nodes.id"))
        amount: Mapped[Money]
        below: Mapped[Money] = mapped_column(server_default="0", default=D(0))

    registry = Registry("tree")
    below = func.coalesce(total(Node.amount, by=Node.parent_id), 0)
    registry.figure(Node.below, below, title="Below")
    world = build(Base, registry)
    with world.sessions() as session:
        root, other = Node(amount=D(1)), Node(amount=D(2))
        session.add_all([root, other])
        session.commit()
        leaf = Node(amount=D(5), parent_id=root.id)
        session.add(leaf)
        session.commit()
        assert root.below == 5
        leaf.parent_id = other.id
        session.commit()
        assert (root.below, other.below) == (0, 5)
    assert world.drift() == []


def crates(build: Build, name: str, declare: Callable[[Registry, Any, Any], None]) -> Any:
    """A world of crates and goods with the figures that `declare` adds."""

    class Base(DeclarativeBase):
        pass

    class Crate(Base):
        __tablename__ = "h Crates"
        id: Mapped[Id]
        total: Mapped[Money] = mapped_column("to:tal(%)", server_default="0", default=D(0))

    class Good(Base):
        __tablename__ = "h_goods_" + "x" * 45
        id: Mapped[Id]
        crate_id: Mapped[int] = mapped_column("crate%", ForeignKey(Crate.id))
        colour: Mapped[str] = mapped_column("co:lour", Text)
        quantity: Mapped[Quantity] = mapped_column(server_default="1", default=D(1))
        price: Mapped[UnitPrice] = mapped_column(server_default="7", default=D(7))
        amount: Mapped[Money] = mapped_column(server_default="0", default=D(0))

    registry = Registry(name)
    declare(registry, Crate, Good)
    return build(Base, registry), Crate, Good


@pytest.mark.parametrize("colour", ["100%", "a\\b", "it's", ":x", "%(a)s", "$note$"])
@pytest.mark.parametrize("incremental", [True, False])
def test_names_and_constants_mean_themselves_in_triggers_and_statements(
    build: Build, colour: str, incremental: bool
) -> None:
    def declare(registry: Registry, crate: Any, good: Any) -> None:
        of_colour = total(
            func.round(good.price, 2), by=good.crate_id,
            where=(good.colour == colour) & (good.id % 2 == 1) & good.colour.in_([colour, "red"]),
        )  # fmt: skip
        registry.figure(
            crate.total, func.coalesce(of_colour, 0),
            title="Total", name=f"it's {colour}", incremental=incremental,
        )  # fmt: skip

    world, crate, good = crates(build, "names", declare)
    with world.engine.connect() as connection:
        assert triggers.out_of_date(connection, world.registry) == {}
    with world.sessions() as session:
        box = crate()
        session.add(box)
        session.commit()
        session.add_all(good(crate_id=box.id, colour=c) for c in (colour, colour, "blue"))
        session.commit()
        assert box.total == 7
    assert world.drift() == []


def test_what_has_more_decimals_than_its_column_is_expected_as_the_column_holds_it(
    build: Build,
) -> None:
    def declare(registry: Registry, crate: Any, good: Any) -> None:
        registry.figure(good.amount, good.quantity * good.price, owner=good.crate_id, title="A")

        @registry.figure(crate.total, title="T")
        def third(goods: Any = good) -> Select[Any]:
            shares = (func.sum(goods.c.amount) / 3).label("to:tal(%)")
            return select(goods.c["crate%"].label("id"), shares).group_by(goods.c["crate%"])

    world, crate, good = crates(build, "decimals", declare)
    with world.sessions() as session:
        box = crate()
        session.add(box)
        session.flush()
        session.add(good(crate_id=box.id, colour="", quantity=D("0.333"), price=D("0.3333")))
        session.commit()
        assert box.total == D("0.04")
        row = {"id": -1, "crate%": -1, "quantity": D("0.333"), "price": D("0.3333")}
        given = preview(
            session.connection(), world.registry, world.registry.figures[:1], {good: [row]}
        )
        assert given.row(good, -1) == {"amount": D("0.11")}
    assert world.drift() == []


def test_a_column_of_the_same_name_that_refers_to_another_table_is_not_the_owner(
    build: Build,
) -> None:
    class Base(DeclarativeBase):
        pass

    class Member(Base):
        __tablename__ = "h_members"
        id: Mapped[Id]

    class Club(Base):
        __tablename__ = "h_clubs"
        id: Mapped[Id]

    class Fee(Base):
        __tablename__ = "h_fees"
        id: Mapped[Id]
        owner_id: Mapped[int] = mapped_column(ForeignKey(Member.id))
        club_id: Mapped[int] = mapped_column(ForeignKey(Club.id))
        amount: Mapped[Money]

    class Income(Base):
        __tablename__ = "h_incomes"
        id: Mapped[Id]
        owner_id: Mapped[int] = mapped_column(ForeignKey(Club.id), unique=True)
        amount: Mapped[Money] = mapped_column(server_default="0", default=D(0))
        note: Mapped[str] = mapped_column(Text, server_default="", default="")

    registry = Registry("clubs")

    @registry.figure(
        columns=(Income.amount,), row_per=(Income.owner_id,), owner=Income.owner_id, title="Income"
    )
    def income(fee: Any = Fee) -> Select[Any]:
        amount = func.sum(fee.c.amount).label("amount")
        return select(fee.c.club_id.label("owner_id"), amount).group_by(fee.c.club_id)

    world = build(Base, registry)
    with world.sessions() as session:
        session.add_all([Member(id=7), Club(id=1)])
        session.flush()
        session.add(Fee(owner_id=7, club_id=1, amount=D(5)))
        session.commit()
        row = session.scalars(select(Income)).one()
        assert (row.owner_id, row.amount, row.note) == (1, 5, "")


def test_dates_texts_and_truths_may_be_derived_and_previewed(build: Build) -> None:
    class Base(DeclarativeBase):
        pass

    class Meter(Base):
        __tablename__ = "h_meters"
        id: Mapped[Id]
        last: Mapped[date | None]
        note: Mapped[str | None]
        high: Mapped[bool | None]
        mean: Mapped[Money | None]

    class Reading(Base):
        __tablename__ = "h_readings"
        id: Mapped[Id]
        meter_id: Mapped[int] = mapped_column(ForeignKey(Meter.id))
        on: Mapped[date | None]
        note: Mapped[str | None]
        amount: Mapped[Money | None]

    registry = Registry("meters")

    @registry.figure(columns=(Meter.last, Meter.note, Meter.high, Meter.mean), name="m", title="M")
    def last(reading: Any = Reading) -> Select[Any]:
        return select(
            reading.c.meter_id.label("id"),
            func.max(reading.c.on).label("last"),
            func.max(reading.c.note).label("note"),
            func.bool_or(reading.c.amount > 9).label("high"),
            func.avg(reading.c.amount, type_=Numeric(15, 2)).label("mean"),
        ).group_by(reading.c.meter_id)

    world = build(Base, registry)
    facts = {"on": date(2026, 1, 2), "note": "x", "amount": D(-1)}
    found = {"last": date(2026, 1, 2), "note": "x", "high": False, "mean": D(-1)}
    with world.sessions() as session:
        meter = Meter()
        session.add(meter)
        session.commit()
        assert (meter.last, meter.note, meter.high, meter.mean) == (None, None, None, None)
        given = {Meter: [{"id": -1}], Reading: [{"id": -1, "meter_id": -1, **facts}]}
        assert (
            preview(session.connection(), registry, registry.figures, given).row(Meter, -1) == found
        )
        session.add(Reading(meter_id=meter.id, **facts))
        session.commit()
        assert {name: getattr(meter, name) for name in found} == found
    assert world.drift() == []
