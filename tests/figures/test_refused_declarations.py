"""Declarations that the core could not keep are refused at start-up, with a sentence."""

import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import (
    ForeignKey,
    Index,
    Select,
    Text,
    UniqueConstraint,
    case,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money
from backoffice.figures import Last, Registry, total
from backoffice.figures.errors import DeclarationError

from .models import Box, Item, Month, Movement, Purse, Shelf, Slot, Thing, Transfer


class Base(DeclarativeBase):
    """Tables that are never created, because their declarations are refused."""


class Person(Base):
    __tablename__ = "h_people"
    id: Mapped[Id]
    code: Mapped[str] = mapped_column(Text, unique=True)


class Part(Base):
    """A table with various defects."""

    __tablename__ = "h_parts"
    id: Mapped[Id]
    maybe_id: Mapped[int | None] = mapped_column(ForeignKey(Person.id))
    code: Mapped[str] = mapped_column(ForeignKey(Person.code))
    person_id: Mapped[int] = mapped_column(ForeignKey(Person.id))
    month: Mapped[str | None]
    amount: Mapped[Money]
    double: Mapped[Money]
    name: Mapped[str]


class Node(Base):
    """A tree."""

    __tablename__ = "h_tree"
    id: Mapped[Id]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("h_tree.id"))
    amount: Mapped[Money]
    below: Mapped[Money]


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


def of_day(day: Any) -> Any:
    return func.coalesce(day, date(2026, 1, 1))


class Used(Base):
    """Running rows without an index that finds an owner's rows from a day on."""

    __tablename__ = "h_used"
    __table_args__ = (
        Index("ix_h_day", "day", "person_id"),
        Index("ix_h_some", "person_id", "day", postgresql_where=text("amount > 0")),
        Index("ix_h_amount", "person_id", "amount", "day"),
    )
    id: Mapped[Id]
    person_id: Mapped[int] = mapped_column(ForeignKey(Person.id), index=True)
    day: Mapped[date]
    amount: Mapped[Money]
    until: Mapped[Money]


class Found(Base):
    """The same with an index, days descending; there is none for months."""

    __tablename__ = "h_found"
    id: Mapped[Id]
    person_id: Mapped[int] = mapped_column(ForeignKey(Person.id))
    day: Mapped[date]
    amount: Mapped[Money]
    until: Mapped[Money]


Index("ix_h_found", Found.person_id, Found.day.desc())


def running(model: Any) -> Callable[..., Select[Any]]:
    def rows(used: Any = model, last: Any = Last(model)) -> Select[Any]:
        sums = func.sum(used.c.amount).over(partition_by=used.c.person_id, order_by=used.c.day)
        until = (func.coalesce(last.c.until, 0) + sums).label("until")
        joined = used.outerjoin(last, last.c.person_id == used.c.person_id)
        return select(used.c.id, used.c.person_id, used.c.day, until).select_from(joined)

    return rows


class PartMonth(Base):
    """Derived rows without a unique index that covers all of them."""

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


def the_parents_amount(node: Any = Node) -> Select[Any]:
    parent = node.alias()
    rows = select(node.c.id, parent.c.amount.label("below"))
    return rows.join_from(node, parent, parent.c.id == node.c.parent_id)


def the_parents_amount_by_two_arguments(node: Any = Node, parent: Any = Node) -> Select[Any]:
    return select(node.c.id, parent.c.amount.label("below")).where(parent.c.id == node.c.parent_id)


def the_branch(node: Any = Node) -> Select[Any]:
    pairs = select(node.c.id.label("top"), node.c.id).cte(recursive=True)
    child, held = node.alias(), node.alias()
    step = select(pairs.c.top, child.c.id).join_from(pairs, child, child.c.parent_id == pairs.c.id)
    pairs = pairs.union_all(step)
    rows = select(pairs.c.top.label("id"), func.sum(held.c.amount).label("below"))
    return rows.join_from(pairs, held, held.c.id == pairs.c.id).group_by(pairs.c.top)


def weights(slot: Any = Slot, thing: Any = Thing) -> Select[Any]:
    rows = select(slot.c.box_id.label("id"), func.sum(thing.c.weight).label("weight"))
    joined = rows.join_from(slot, thing, thing.c.id == slot.c.thing_id)
    return joined.group_by(slot.c.box_id)


def joined_by_nothing(item: Any = Item, movement: Any = Movement) -> Select[Any]:
    return select(item.c.box_id.label("id"), item.c.amount.label("total")).join(movement)


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
    "a total within a total": (
        lambda r: r.figure(
            Shelf.total, total(total(Item.price, by=Item.box_id), by=Box.shelf_id), title="a"
        ),
        "a total within a total; keep the inner one",
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
    "a total over its own column": (
        lambda r: r.figure(
            Node.below, Node.amount + func.coalesce(total(Node.below, by=Node.parent_id), 0), title="a"
        ),
        "keeps itself, has no beginning; add up facts",
    ),
    "a total over those rows for which its own column says something": (
        lambda r: r.figure(
            Node.below, func.coalesce(
                total(Node.amount, by=Node.parent_id, where=Node.below > 0), 0
            ), title="a",
        ),
        "keeps itself, has no beginning; add up facts",
    ),
    "a total over its own column that may be entered": (
        lambda r: r.figure(
            Node.below, func.coalesce(total(Node.below, by=Node.parent_id), Node.below), title="a",
            entered={Node.below: Node.amount > 0},
        ),
        "keeps itself, has no beginning; add up facts",
    ),
    "the owners' table joined with itself": (
        lambda r: a_select(r, Node.below, then=the_parents_amount),
        "joins h_tree with itself, but of an owner it is given that one row",
    ),
    "the owners' table as two arguments": (
        lambda r: a_select(r, Node.below, then=the_parents_amount_by_two_arguments),
        "joins h_tree with itself",
    ),
    "a recursion over the owners' table": (
        lambda r: a_select(r, Node.below, then=the_branch),
        "joins h_tree with itself",
    ),
    "a way through another table's key": (
        lambda r: a_select(r, Box.weight, then=weights, reached_by={Thing: Slot.box_id}),
        "does not refer to t_things by its primary key; name the column",
    ),
    "a way through what is no key": (
        lambda r: a_select(r, Box.weight, then=weights, reached_by={Thing: Slot.active}),
        "does not refer to t_things by its primary key",
    ),
    "a way from what is not read": (
        lambda r: a_select(
            r, Box.total, reached_by={Thing: Slot.thing_id},
            then=lambda item=Item: select(item.c.box_id.label("id"), item.c.price.label("total")),
        ),
        "make both tables arguments of its SELECT",
    ),
    "a way of an expression": (
        lambda r: r.figure(Box.weight, Box.red * 2, title="a", reached_by={Thing: Slot.thing_id}),
        "make both tables arguments of its SELECT",
    ),
    "a way to the figure's own rows": (
        lambda r: a_select(
            r, Thing.weight, owner=Thing.id, reached_by={Thing: Slot.thing_id},
            then=lambda thing=Thing, slot=Slot: select(thing.c.id, thing.c.weight),
        ),
        "not reached_by=t_slots.thing_id",
    ),
    "a source that names the owner twice": (
        lambda r: a_select(
            r, Purse.balance,
            then=lambda t=Transfer: select(t.c.to_id.label("id"), t.c.amount.label("balance")),
        ),
        "t_transfers.from_id and t_transfers.to_id both name the owner",
    ),
    "a source that names no owner": (
        lambda r: a_select(
            r, Purse.balance,
            then=lambda i=Item: select(i.c.id, i.c.amount.label("balance")),
        ),
        "no column of t_items names the owner",
    ),
    "a SELECT of a column that is not there": (
        lambda r: a_select(r, Box.total, then=lambda item=Item: select(item.c.box, item.c.price)),
        "its SELECT cannot be built; mend .*AttributeError: box",
    ),
    "a SELECT that joins by nothing": (
        lambda r: a_select(r, Box.total, then=joined_by_nothing),
        "its SELECT cannot be built; mend joined_by_nothing..",
    ),
    "a SELECT that answers nothing": (
        lambda r: a_select(r, Box.total, then=lambda item=Item: None),
        "its SELECT cannot be built; mend",
    ),
    "a SELECT without a table": (
        lambda r: a_select(r, Box.total, then=lambda item: item),
        "give the argument “item” of its SELECT a model as default",
    ),
    "a text that would have no value": (
        lambda r: a_select(r, Part.name, then=lambda part=Part: select(part.c.id, part.c.name)),
        "has no value where the SELECT answers no row",
    ),
    "derived rows whose key is not unique": (
        lambda r: a_select(
            r, then=of_parts, columns=(PartMonth.added,), owner=PartMonth.person_id,
            row_per=(PartMonth.person_id, PartMonth.month),
        ),
        "needs a unique index on month, person_id",
    ),
    "derived rows whose key may be NULL": (
        lambda r: a_select(
            r, columns=(PartMonth.added,), owner=PartMonth.person_id,
            row_per=(PartMonth.person_id, PartMonth.maybe),
            then=lambda part=Part: select(
                part.c.person_id, part.c.month.label("maybe"), part.c.amount.label("added")
            ),
        ),
        "make its columns NOT NULL",
    ),
    "derived rows whose owner is not in the key": (
        lambda r: a_select(
            r, then=of_parts, columns=(PartMonth.added,), owner=PartMonth.person_id,
            row_per=(PartMonth.month,),
        ),
        "make person_id part of the key",
    ),
    "rows that run, to be found by no index": (
        lambda r: a_select(
            r, Used.until, then=running(Used), owner=Used.person_id, along=Used.day
        ),
        "read all that h_used holds of its owner.* give it an index on .person_id, day., or",
    ),
    "rows that stand at an expression of which there is no index": (
        lambda r: a_select(
            r, Found.until, then=running(Found), owner=Found.person_id, along=Found.day,
            since={Found: of_day(Found.day)},
        ),
        "index on .person_id, coalesce.day, '2026-01-01'..",
    ),
    "two figures that derive the rows of one table": (
        lambda r: [
            a_select(
                r, then=of_movements(column.key), columns=(column,), owner=Month.box_id,
                row_per=(Month.box_id, Month.month),
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


def test_rows_that_run_are_kept_where_an_index_leads_to_their_places() -> None:
    registry = Registry()
    a_select(registry, Found.until, then=running(Found), owner=Found.person_id, along=Found.day)
    registry.seal()
