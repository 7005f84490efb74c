"""What the core could not keep is refused at start-up; what it accepts, it keeps."""

import uuid
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    ForeignKey,
    Index,
    Numeric,
    Select,
    Text,
    UniqueConstraint,
    case,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

from backoffice.base import Id
from backoffice.figures import Registry, total, triggers
from backoffice.figures.errors import DeclarationError
from backoffice.figures.previews import preview
from backoffice.money import Money, Quantity, UnitPrice

from .models import Box, Item, Month, Movement, Purse, Shelf, Transfer
from .worlds import World

D = Decimal
Build = Callable[[type[DeclarativeBase], Registry], World]


class Base(DeclarativeBase):
    """Tables that are never made: their declarations are refused."""


class Person(Base):
    __tablename__ = "h_people"
    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text, unique=True)


class Part(Base):
    """What may be wrong with a table."""

    __tablename__ = "h_parts"
    id: Mapped[Id]
    maybe_id: Mapped[int | None] = mapped_column(ForeignKey(Person.id))
    code: Mapped[str] = mapped_column(ForeignKey(Person.code))
    person_id: Mapped[int] = mapped_column(ForeignKey(Person.id))
    month: Mapped[str | None]
    amount: Mapped[Money]
    double: Mapped[Money]
    name: Mapped[str]


class Unnumbered(Base):
    __tablename__ = "h_unnumbered"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    amount: Mapped[Money]
    double: Mapped[Money]


class Doubled(Base):
    __tablename__ = "h_doubled"
    person_id: Mapped[int] = mapped_column(ForeignKey(Person.id), primary_key=True)
    line: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[Money]
    double: Mapped[Money]


class PartMonth(Base):
    """Derived rows without a unique index that holds for all of them."""

    __tablename__ = "h_part_months"
    __table_args__ = (
        Index("uq_h", "person_id", "month", unique=True, postgresql_where=func.now() > 0),
        UniqueConstraint("person_id", "maybe"),
    )
    id: Mapped[Id]
    person_id: Mapped[int] = mapped_column(ForeignKey(Person.id))
    month: Mapped[str]
    maybe: Mapped[str | None]
    added: Mapped[Money]


def a_select(
    registry: Registry, *given: Any, then: Callable[..., Select[Any]], **options: Any
) -> Any:
    return registry.figure(*given, title="a", **options)(then)


def of_parts(part: Any = Part) -> Select[Any]:
    months = select(part.c.person_id, part.c.month, func.sum(part.c.amount).label("added"))
    return months.group_by(part.c.person_id, part.c.month)


def of_movements(name: str) -> Callable[..., Select[Any]]:
    def sums(movement: Any = Movement) -> Select[Any]:
        month = func.to_char(movement.c.on, "YYYY-MM").label("month")
        return select(movement.c.box_id, month, func.sum(movement.c.amount).label(name))

    return sums


REFUSED: dict[str, tuple[Callable[[Registry], Any], str]] = {
    "a total that reads its parent's row": (
        lambda r: r.figure(Box.total, total(Item.quantity * Box.red, by=Item.box_id), title="a"),
        "a total over t_items reads t_items alone",
    ),
    "a condition of a total on its parent's row": (
        lambda r: r.figure(
            Box.total, total(Item.quantity, by=Item.box_id, where=Box.red > 0), title="a"
        ),
        "a total over t_items reads t_items alone",
    ),
    "a child's column outside a total": (
        lambda r: r.figure(Box.total, total(Item.price, by=Item.box_id) + Item.price, title="a"),
        "t_items needs a SELECT",
    ),
    "a total by a key that refers elsewhere": (
        lambda r: r.figure(Shelf.total, total(Item.price, by=Item.box_id), title="a"),
        "does not refer to t_shelves",
    ),
    "an alias": (
        lambda r: r.figure(Box.total, total(Item.price, by=aliased(Item).box_id), title="a"),
        "is not a column of a table",
    ),
    "SQL in a string": (
        lambda r: r.figure(Box.total, literal_column("red * 2"), title="a"),
        "hides what it reads",
    ),
    "the passing of time": (
        lambda r: r.figure(
            Box.total, case((func.now() > date(2026, 1, 1), Box.red), else_=0), title="a"
        ),
        "now.. changes by itself",
    ),
    "a condition that is entered, on another row": (
        lambda r: r.figure(Box.total, Box.red, title="a", entered={Box.total: Item.price > 0}),
        "conditions over the figure's own row",
    ),
    "a figure that is named like its owner's table": (
        lambda r: [
            r.figure(Box.red, Box.weight + 1, title="a"),
            r.figure(
                Box.total, func.coalesce(total(Item.amount, by=Item.box_id), 0),
                title="b", name="t_boxes", incremental=True,
            ),
        ],
        "may not be named like",
    ),
    "rows without an owner": (
        lambda r: r.figure(Part.double, Part.amount * 2, owner=Part.maybe_id, title="a"),
        "neither kept nor verified",
    ),
    "an owner that is named by something else than its key": (
        lambda r: r.figure(Part.double, Part.amount * 2, owner=Part.code, title="a"),
        "not by its primary key",
    ),
    "a primary key that is no number": (
        lambda r: r.figure(Unnumbered.double, Unnumbered.amount * 2, title="a"),
        "a primary key of one column that is a whole number",
    ),
    "a primary key of two columns": (
        lambda r: r.figure(Doubled.double, Doubled.amount * 2, owner=Doubled.person_id, title="a"),
        "a primary key of one column that is a whole number",
    ),
    "an incremental total that is NULL without rows": (
        lambda r: r.figure(
            Purse.balance, total(Transfer.amount, by=Transfer.to_id), title="a", incremental=True
        ),
        "is a sum of totals",
    ),
    "an incremental difference that is NULL where either side is": (
        lambda r: r.figure(
            Purse.balance,
            func.coalesce(
                total(Transfer.amount, by=Transfer.to_id)
                - total(Transfer.amount, by=Transfer.from_id),
                0,
            ),
            title="a", incremental=True,
        ),
        "is a sum of totals",
    ),
    "an incremental total that would be rounded at every step": (
        lambda r: r.figure(
            Box.total, func.coalesce(total(Item.quantity, by=Item.box_id), 0),
            title="a", incremental=True,
        ),
        "has more decimals than it",
    ),
    "a SELECT that reads past its arguments": (
        lambda r: a_select(
            r, Box.total,
            then=lambda box=Box: select(box.c.id, func.sum(Item.price).label("total"))
            .join(Item, Item.box_id == box.c.id).group_by(box.c.id),
        ),
        "reads t_items past its arguments",
    ),
    "a SELECT that forgets a column": (
        lambda r: a_select(
            r, Box.total, then=lambda item=Item: select(item.c.box_id, item.c.price.label("total"))
        ),
        "answers no column “id”",
    ),
    "a text that would have no value": (
        lambda r: a_select(r, Part.name, then=lambda part=Part: select(part.c.id, part.c.name)),
        "has no value where the SELECT answers no row",
    ),
    "derived rows whose key is not unique": (
        lambda r: a_select(
            r, then=of_parts, columns=(PartMonth.added,), owner=PartMonth.person_id,
            key=(PartMonth.person_id, PartMonth.month),
        ),
        "needs a unique index on month, person_id",
    ),
    "derived rows whose key may be NULL": (
        lambda r: a_select(
            r, columns=(PartMonth.added,), owner=PartMonth.person_id,
            key=(PartMonth.person_id, PartMonth.maybe),
            then=lambda part=Part: select(
                part.c.person_id, part.c.month.label("maybe"), part.c.amount.label("added")
            ),
        ),
        "make its columns NOT NULL",
    ),
    "derived rows whose owner is not in the key": (
        lambda r: a_select(
            r, then=of_parts, columns=(PartMonth.added,), owner=PartMonth.person_id,
            key=(PartMonth.month,),
        ),
        "make person_id part of the key",
    ),
    "two figures that derive the rows of one table": (
        lambda r: [
            a_select(
                r, then=of_movements(column.key), columns=(column,), owner=Month.box_id,
                key=(Month.box_id, Month.month),
            )
            for column in (Month.added, Month.moves)
        ],
        "derives the rows of t_months already",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("declare", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_could_not_be_kept_is_refused(
    declare: Callable[[Registry], Any], sentence: str
) -> None:
    registry = Registry()
    with pytest.raises(DeclarationError, match=sentence):
        declare(registry) and registry.seal()


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
    """A world of crates and goods with the figures that `declare` makes of them."""

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
        assert triggers.out_of_date(connection, world.registry) == []
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
        columns=(Income.amount,), key=(Income.owner_id,), owner=Income.owner_id, title="Income"
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
