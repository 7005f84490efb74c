"""The README's example of figures, as written there: kept, verified, explained and healed over its own tables."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import ForeignKey, Text, UniqueConstraint, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.app.config import ROOT
from backoffice.base import N_, Id
from backoffice.base.money import Money
from backoffice.figures import Registry
from backoffice.figures.showing.explanation import explain
from backoffice.figures.verifying.healing import heal
from tests.figures.worlds import Building, World


class Base(DeclarativeBase):
    """The tables of the example."""


class Order(Base):
    """Four components and their grand total."""

    __tablename__ = "rm_orders"
    id: Mapped[Id]
    total_price: Mapped[Money]
    additions: Mapped[Money]
    promo: Mapped[Money]
    reductions: Mapped[Money]
    grand_total: Mapped[Money] = mapped_column(server_default="0", default=Decimal(0))


class Box(Base):
    """The owner of movements."""

    __tablename__ = "rm_boxes"
    id: Mapped[Id]


class Movement(Base):
    """An amount on a day."""

    __tablename__ = "rm_movements"
    id: Mapped[Id]
    box_id: Mapped[int] = mapped_column(ForeignKey(Box.id), index=True)
    on: Mapped[date]
    amount: Mapped[Money]


class Month(Base):
    """A month's movements."""

    __tablename__ = "rm_months"
    __table_args__ = (UniqueConstraint("box_id", "month"),)
    id: Mapped[Id]
    box_id: Mapped[int] = mapped_column(ForeignKey(Box.id))
    month: Mapped[str] = mapped_column(Text)
    added: Mapped[Money]


registry = Registry("readme")


def as_written() -> dict[str, Any]:
    """The names that the README's block defines."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"## How to add a figure\n.*?```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    names = {
        "figure": registry.figure, "N_": N_, "select": select, "func": func,
        "Order": Order, "Month": Month, "Movement": Movement,
    }  # fmt: skip
    exec(found[1], names)
    return names


DECLARED = as_written()


@pytest.fixture
def world(building: Building) -> Iterator[World]:
    with building(Base, registry) as made:
        yield made


def test_both_figures_of_the_readme_are_kept_verified_explained_and_healed(world: World) -> None:
    with world.sessions() as session:
        box, day = Box(), date(2026, 3, 2)
        session.add_all([box, Order(total_price=100, additions=20, promo=5, reductions=1)])
        session.flush()
        session.add_all(Movement(box_id=box.id, on=day, amount=amount) for amount in (3, 4))
        session.commit()
        assert session.scalar(select(Order.grand_total)) == 114
        assert session.execute(select(Month.month, Month.added)).all() == [("2026-03", 7)]
        session.rollback()
        world.outside.execute("UPDATE rm_orders SET promo = 6")
        world.surgery.execute("UPDATE rm_months SET added = 9")
        found = {one.figure.columns[0].key: one.expected for one in world.drift()}
        assert found == {"grand_total": {"grand_total": 113}, "added": {"added": 7}}
        heal(world.engine, registry, every_owner=True)
        assert world.drift() == []
        key = session.scalar(select(Order.id))
        explained = explain(session.connection(), registry, DECLARED["grand_total"], key)
        assert [term.value for term in explained.columns[0].terms] == [100, 20, 6, 1]
