"""A source that all owners read (a price list): a change of it updates every owner's figures, whatever writes it."""

import threading
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import ForeignKey, Numeric, Select, func, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money, Quantity, UnitPrice
from backoffice.figures import Figure, Registry, total
from backoffice.figures.errors import DeclarationError
from backoffice.figures.keeping import drain
from backoffice.figures.models import Correction, FigureNote
from backoffice.figures.showing.explanation import explain
from backoffice.figures.showing.previews import preview
from backoffice.figures.verifying.healing import heal
from backoffice.figures.verifying.outside import heal_noted
from backoffice.figures.verifying.proving import disproofs

from .worlds import Building, World

D = Decimal


class Base(DeclarativeBase):
    """Parties, their readings, and one price list for all of them."""


def _kept() -> Any:
    return mapped_column(server_default="0", default=D(0))


class Party(Base):
    __tablename__ = "e_parties"
    id: Mapped[Id]
    owed: Mapped[Money] = _kept()


class Reading(Base):
    __tablename__ = "e_readings"
    id: Mapped[Id]
    party_id: Mapped[int] = mapped_column(ForeignKey(Party.id), index=True)
    read_on: Mapped[date]
    quantity: Mapped[Quantity]
    cost: Mapped[Money] = _kept()


class Price(Base):
    __tablename__ = "e_prices"
    id: Mapped[Id]
    since: Mapped[date]
    price: Mapped[UnitPrice]
    note: Mapped[str] = mapped_column(server_default="", default="")


def cost(readings: Any = Reading, prices: Any = Price) -> Select[Any]:
    """Each reading at the price of its day."""
    held = (
        select(prices.c.price)
        .where(prices.c.since <= readings.c.read_on)
        .order_by(prices.c.since.desc(), prices.c.id.desc())
        .limit(1)
        .correlate(readings)
        .scalar_subquery()
    )
    amount = func.round(readings.c.quantity * func.coalesce(held, 0), 2, type_=Numeric(15, 2))
    return select(readings.c.id, readings.c.party_id, amount.label("cost"))


def declared(registry: Registry) -> tuple[Figure, Figure]:
    """The cost of a reading, and a party's total of them."""
    options: dict[str, Any] = {"owner": Reading.party_id, "title": "Cost"}
    lower = registry.figure(Reading.cost, for_everybody=(Price,), **options)(cost)
    owed = func.coalesce(total(Reading.cost, by=Reading.party_id), 0)
    return lower, registry.figure(Party.owed, owed, title="Owed")


registry = Registry("everybody")
COST, OWED = declared(registry)
registry.seal()


@pytest.fixture
def world(building: Building) -> Iterator[World]:
    """Three parties with a reading of 10 each, at 2.00; all right."""
    with building(Base, registry) as world:
        with world.sessions() as db:
            parties = [Party() for _ in range(3)]
            db.add_all([*parties, Price(since=date(2026, 1, 1), price=D(2))])
            db.flush()
            db.add_all(
                Reading(party_id=p.id, read_on=date(2026, 1, 5), quantity=D(10)) for p in parties
            )
            db.commit()
            assert costs(db) == [20, 20, 20]
        yield world


def costs(db: Any) -> list[Decimal]:
    found = list(db.scalars(select(Reading.cost).order_by(Reading.id)))
    assert found == list(db.scalars(select(Party.owed).order_by(Party.id)))
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda db: setattr(db.scalars(select(Price)).one(), "price", D(3)),
        lambda db: db.execute(update(Price).values(price=3)),
        lambda db: db.execute(text("UPDATE e_prices SET price = 3")),
        lambda db: db.add(Price(since=date(2026, 1, 2), price=D(3))),
    ],
    ids=["unit of work", "core", "text", "a later price"],
)
def test_everybodys_figures_follow_a_change_of_it_in_the_same_transaction(
    change: Any, world: World
) -> None:
    with world.sessions() as db:
        change(db)
        assert costs(db) == [30, 30, 30]
        db.commit()
        db.execute(text("DELETE FROM e_prices"))
        db.commit()
        assert costs(db) == [0, 0, 0]
        assert db.scalar(select(func.count()).select_from(FigureNote)) == 0
    assert world.drift() == []


def test_an_outside_programs_change_of_it_notes_everybody_and_is_followed(world: World) -> None:
    world.outside.execute("UPDATE e_prices SET price = 3")
    with world.sessions() as db:
        notes = db.execute(select(FigureNote.bundle, FigureNote.owner)).all()
        assert [tuple(note) for note in notes] == [(COST.name, None)]
    done = heal_noted(world.engine, registry)
    assert len(done.corrections) == 6
    with world.sessions() as db:
        assert costs(db) == [30, 30, 30]
        assert set(db.scalars(select(Correction.cause))) >= {"bypass"}


def test_what_nobody_reads_of_it_notes_nobody(world: World) -> None:
    world.outside.execute("UPDATE e_prices SET note = 'x', price = price")
    with world.sessions() as db:
        assert db.scalar(select(func.count()).select_from(FigureNote)) == 0


def test_a_change_of_it_past_every_trigger_is_found_and_healed(world: World) -> None:
    world.surgery.execute("UPDATE e_prices SET price = 3")
    found = world.drift()
    assert {f.figure for f in found} == {COST, OWED}
    assert {f.roots[0].figure for f in found} == {COST.name}
    assert not any(f.is_orphan for f in found)
    heal(world.engine, registry)
    assert world.drift() == []


def test_it_is_proved_previewed_and_explained(world: World) -> None:
    with world.sessions() as db:
        assert list(disproofs(db.connection(), registry)) == []
        given = {Price: [{"id": -1, "since": date(2026, 1, 1), "price": D(5)}]}
        shown = preview(db.connection(), registry, [COST], given, owners=[2])
        assert shown.row(Reading, 2)["cost"] == D(50)
        explained = explain(db.connection(), registry, COST, 1)
        assert explained is not None
        assert explained.is_right


def comes_while_it_changes(world: World) -> list[Decimal]:
    """A party is inserted with a reading, computed but not committed, while a user changes the price."""
    with world.sessions() as coming, world.sessions() as changing:
        party = Party()
        coming.add(party)
        coming.flush()
        coming.add(Reading(party_id=party.id, read_on=date(2026, 1, 6), quantity=D(10)))
        assert coming.scalars(select(Reading.cost)).all()[-1] == 20  # recomputed, at the old price

        def change() -> None:
            changing.execute(update(Price).values(price=3))
            changing.commit()

        other = threading.Thread(target=change)
        other.start()
        deadline = time.monotonic() + 5
        while other.is_alive() and time.monotonic() < deadline:
            query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            [[waiting]] = world.outside.execute(query).fetchall()
            if waiting:
                break
            time.sleep(0.02)
        coming.commit()
        other.join(10)
    with world.sessions() as db:
        return list(db.scalars(select(Reading.cost).order_by(Reading.id)))


def test_whoever_comes_while_it_changes_is_right(world: World) -> None:
    assert comes_while_it_changes(world) == [30, 30, 30, 30]
    assert world.drift() == []


@pytest.mark.leaves_drift
def test_without_the_lock_whoever_comes_is_left_at_the_old_price(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "hold_everybodys", lambda *_given, **_options: None)
    assert comes_while_it_changes(world) == [30, 30, 30, 20]


def refused(**options: Any) -> None:
    own = Registry("refused")
    own.figure(Reading.cost, owner=Reading.party_id, title="Cost", **options)(cost)
    own.seal()


def test_a_source_that_names_nobody_is_refused_until_it_is_said_to_be_everybodys() -> None:
    with pytest.raises(DeclarationError, match="for_everybody"):
        refused()
    refused(for_everybody=(Price,))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"for_everybody": (Price, Party)}, "leads to no owner"),
        ({"for_everybody": (Price, Reading)}, "leads to no owner"),
    ],
)
def test_what_is_no_ones_source_cannot_be_everybodys(options: Any, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        refused(**options)


def test_what_everybody_reads_holds_no_figure() -> None:
    own = Registry("refused")
    own.figure(Price.price, func.round(Price.price, 4), title="Price")
    own.figure(Reading.cost, owner=Reading.party_id, title="Cost", for_everybody=(Price,))(cost)
    with pytest.raises(DeclarationError, match="what everybody reads are facts"):
        own.seal()
