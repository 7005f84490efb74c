"""A price list for all owners under concurrency: outside changes, a flood of them, and two versions at a time."""

import threading
import time
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from backoffice.figures import Registry, total
from backoffice.figures.verifying import outside
from backoffice.figures.verifying.outside import heal_noted, noted
from backoffice.figures.verifying.verification import verify
from tests.processes import in_rounds

from .test_everybody import COST, Party, Price, Reading, registry, world
from .test_heals_beside_savers import LONGEST_WAIT
from .test_rolling_upgrades import process, upgraded
from .worlds import World

pytestmark = pytest.mark.slow

__all__ = ["process", "world"]

D = Decimal
DAY = date(2026, 1, 6)


def costs(world: World) -> list[Decimal]:
    with world.sessions() as db:
        return list(db.scalars(select(Reading.cost).order_by(Reading.id)))


# New owners


def comes_while_another_program_changes_it(world: World) -> list[Decimal]:
    """A party is inserted with a reading, computed but not committed; meanwhile the price changes, and is followed."""
    with world.sessions() as coming:
        party = Party()
        coming.add(party)
        coming.flush()
        coming.add(Reading(party_id=party.id, read_on=DAY, quantity=D(10)))
        assert coming.scalars(select(Reading.cost)).all()[-1] == 20  # recomputed, at the old price
        world.outside.execute("UPDATE e_prices SET price = 3")
        watch = threading.Thread(target=lambda: heal_noted(world.engine, registry))
        watch.start()
        deadline = time.monotonic() + 5
        while watch.is_alive() and time.monotonic() < deadline:
            query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            [[waiting]] = world.outside.execute(query).fetchall()
            if waiting:
                break
            time.sleep(0.01)
        coming.commit()
        watch.join(10)
    return costs(world)


def test_whoever_comes_while_another_program_changes_it_is_right(world: World) -> None:
    assert comes_while_another_program_changes_it(world) == [30, 30, 30, 30]
    assert world.drift() == []


@pytest.mark.leaves_drift
def test_without_the_lock_whoever_comes_is_left_at_the_old_price(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "hold_everybodys", lambda *_given, **_options: None)
    assert comes_while_another_program_changes_it(world) == [30, 30, 30, 20]


def test_who_saves_for_a_long_time_keeps_it_waiting_and_nobody_else(world: World) -> None:
    """A change that cannot be followed yet stays noted, and is retried."""
    with world.sessions() as slow, world.sessions() as other:
        party = Party()
        slow.add(party)
        slow.flush()
        slow.add(Reading(party_id=party.id, read_on=DAY, quantity=D(10)))
        assert slow.scalars(select(Reading.cost)).all()[-1] == 20
        world.outside.execute("UPDATE e_prices SET price = 3")
        done = heal_noted(world.engine, registry)
        assert [failure.owner for failure in done.failures] == [None]
        assert noted(world.engine) == {COST.name: 1}
        assert costs(world) == [30] * 3, "who is there is not kept waiting"
        other.add(Reading(party_id=2, read_on=DAY, quantity=D(10)))
        other.commit()
        slow.commit()
    world.surgery.execute("UPDATE figure_notes SET retry_at = NULL")
    assert heal_noted(world.engine, registry).failures == []
    assert costs(world) == [30] * 5
    assert world.drift() == []


# A flood


CHANGES, PARTIES = 200, 60


def test_a_flood_of_changes_is_followed_in_a_few_rounds_and_keeps_nobody_waiting(
    app: Any, world: World
) -> None:
    with world.sessions() as db:
        parties = [Party() for _ in range(PARTIES)]
        db.add_all(parties)
        db.flush()
        for party in parties:
            db.add_all(
                Reading(party_id=party.id, read_on=DAY, quantity=D(number + 1))
                for number in range(20)
            )
        db.commit()
        ids = [party.id for party in parties]

    def is_over() -> bool:
        with world.sessions() as db:
            return db.scalar(select(Price.price)) == CHANGES

    def change(_: int) -> None:
        with world.open_outside() as program:
            for number in range(1, CHANGES + 1):
                program.execute("UPDATE e_prices SET price = %s", [number])
                program.commit()
                time.sleep(0.005)

    def follow(_: int) -> tuple[int, int]:
        world.engine.dispose(close=False)  # the connections belong to the parent process
        rounds = followed = 0
        while True:
            was_over = is_over()
            done = heal_noted(world.engine, registry)
            rounds, followed = rounds + bool(done.notes), followed + done.notes
            if was_over and not noted(world.engine):
                return rounds, followed

    def save(_: int) -> list[float]:
        world.engine.dispose(close=False)
        waited: list[float] = []
        while len(waited) < 20 or not is_over():
            began = time.perf_counter()
            with world.sessions() as db:
                party = ids[len(waited) % PARTIES]
                db.add(Reading(party_id=party, read_on=DAY, quantity=D(1)))
                db.commit()
            waited.append(time.perf_counter() - began)
            time.sleep(0.005)
        return waited

    [_, [(rounds, followed)], *saved] = in_rounds(app, 1, change, follow, save, save)
    heal_noted(world.engine, registry)
    assert world.drift() == []
    with world.sessions() as db:
        wrong = select(Reading).where(Reading.cost != Reading.quantity * CHANGES)
        assert db.scalars(wrong).all() == []
    assert followed == CHANGES, "each once"
    assert rounds <= CHANGES / 4
    waits = sorted(wait for [waited] in saved for wait in waited)
    assert waits[len(waits) * 9 // 10] < LONGEST_WAIT
    assert waits[-1] < 2 * LONGEST_WAIT, "beside five processes on a busy machine"


# Two versions at a time


def earlier() -> Registry:
    """The earlier version, in which everything costs 2.00 and there is no price list."""
    earlier = Registry(registry.name)

    def cost(readings: Any = Reading) -> Select[Any]:
        amount = func.round(readings.c.quantity * 2, 2)
        return select(readings.c.id, readings.c.party_id, amount.label("cost"))

    earlier.figure(Reading.cost, owner=Reading.party_id, title="Cost")(cost)
    owed = func.coalesce(total(Reading.cost, by=Reading.party_id), 0)
    earlier.figure(Party.owed, owed, title="Owed")
    return earlier


def read(sessions: sessionmaker[Session], party: int) -> None:
    with sessions() as session:
        session.add(Reading(party_id=party, read_on=DAY, quantity=D(10)))
        session.commit()


def price(sessions: sessionmaker[Session], price: int) -> None:
    with sessions() as session:
        session.execute(text("UPDATE e_prices SET price = :price"), {"price": price})
        session.commit()


def notes(world: World) -> set[tuple[str, int | None]]:
    rows = world.outside.execute("SELECT DISTINCT bundle, owner FROM figure_notes").fetchall()
    return {(bundle, owner) for bundle, owner in rows}


def test_what_the_version_before_writes_after_an_upgrade_is_left_to_the_newer(
    world: World, process: Any
) -> None:
    older = earlier()
    old = process(older)
    price(old, 3)
    read(old, 1)
    assert costs(world) == [20, 20, 20, 0], "not by a definition that knows no price list"
    left = notes(world)
    assert left == {(COST.name, None), (COST.name, 1), ("e_parties", 1)}
    heal_noted(old.kw["bind"], older)
    assert notes(world) == left, "nor its watch"
    heal_noted(world.engine, registry)
    assert costs(world) == [30, 30, 30, 30]
    assert world.drift() == []


def test_a_reading_of_the_version_before_that_is_not_committed_is_not_missed_by_a_change(
    world: World, process: Any
) -> None:
    old = process(earlier())
    with old() as coming:
        party = Party()
        coming.add(party)
        coming.flush()
        coming.add(Reading(party_id=party.id, read_on=DAY, quantity=D(10)))
        coming.flush()
        price(world.sessions, 3)
        coming.commit()
    assert costs(world) == [30, 30, 30, 0]
    heal_noted(world.engine, registry)
    assert costs(world) == [30, 30, 30, 30]
    assert world.drift() == []


def test_what_the_newer_writes_before_the_upgrade_is_there_after_it(
    world: World, process: Any, owner_database_url: str
) -> None:
    older = earlier()
    upgraded(world, owner_database_url, older)
    old, new = process(older), world.sessions
    price(new, 3)
    read(new, 1)
    read(old, 2)
    assert notes(world) == {(COST.name, 1), ("e_parties", 1)}, "of the price list nobody tells yet"
    heal_noted(old.kw["bind"], older)
    assert costs(world) == [20] * 5, "the book is kept by the version before"
    assert list(verify(old.kw["bind"], older)) == []
    upgraded(world, owner_database_url, registry)
    assert costs(world) == [30] * 5
    assert world.drift() == []
