"""Concurrent changes to the same derived rows, with recomputes in between."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import update
from sqlalchemy.orm import DeclarativeBase

from backoffice.figures import Registry
from backoffice.figures.keeping import drain as drain_module
from backoffice.figures.keeping import hooks
from backoffice.figures.keeping.locking import hold

from .tallies import Sale, Tally, rows_of, two_sellers
from .test_races import at_once
from .worlds import World

pytestmark = pytest.mark.slow

D = Decimal
Build = Callable[[type[DeclarativeBase], Registry], World]


@pytest.fixture
def world(build: Build) -> World:
    """Two sellers without a sale."""
    return two_sellers(build)


def sales_at_once(world: World, rounds: int) -> None:
    """Two sessions close sales of one seller's month at once, again and again.

    One also enters another month's target, so that it recomputes the seller absolutely.
    """
    month, other = date(2026, 1, 1), date(2026, 2, 1)
    with world.sessions() as session:
        session.add(Tally(seller_id=1, month=other, target=D(0)))
        session.commit()

    def close(price: int, target: int | None = None) -> None:
        with world.sessions() as session:
            session.add(Sale(seller_id=1, closed_on=month, price=D(price)))
            if target is not None:
                hold(session.connection(), world.registry.bundles[-1], [1])
                session.execute(update(Tally).where(Tally.month == other).values(target=target))
            session.commit()

    for number in range(rounds):
        at_once(lambda: close(1), lambda n=number: close(2, target=n), lambda: close(3))


def test_changes_and_absolute_recomputes_of_one_owner_do_not_meet(world: World) -> None:
    sales_at_once(world, 40)
    assert world.drift() == []


def test_the_first_sales_of_a_month_from_two_sessions_make_one_row(world: World) -> None:
    for number in range(50):
        day = date(2000 + number // 12, number % 12 + 1, 9)

        def close(price: int, day: date = day) -> None:
            with world.sessions() as session:
                session.add(Sale(seller_id=1, closed_on=day, price=D(price)))
                session.commit()

        at_once(lambda f=close: f(1), lambda f=close: f(2))
    assert world.drift() == []
    assert set(rows_of(world).values()) == {(D(6), 2)}


def add_while_recomputing(world: World) -> None:
    """One session has added a sale and not committed; another recomputes the seller meanwhile."""
    january, february = date(2026, 1, 1), date(2026, 2, 1)
    with world.sessions() as session:
        session.add_all(
            [
                Sale(seller_id=1, closed_on=january, price=D(1)),
                Tally(seller_id=1, month=february, target=D(1)),
            ]
        )
        session.commit()

    def recompute() -> None:
        with world.sessions() as other:
            other.add(Sale(seller_id=1, closed_on=january, price=D(10)))
            other.execute(update(Tally).where(Tally.month == february).values(target=D(2)))
            other.commit()

    with world.sessions() as session, ThreadPoolExecutor(1) as pool:
        session.add(Sale(seller_id=1, closed_on=january, price=D(100)))
        hooks.settle(session, world.registry)
        waiting = pool.submit(recompute)
        while not world.outside.execute(ANOTHER_WAITS).fetchone()[0]:  # type: ignore[index]
            assert not waiting.done()
        session.commit()
        waiting.result()


ANOTHER_WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def test_an_absolute_recompute_waits_for_a_change_that_is_not_committed(world: World) -> None:
    add_while_recomputing(world)
    assert world.drift() == []
    assert rows_of(world)[1, date(2026, 1, 1)] == (D(222), 3)


@pytest.mark.leaves_drift
def test_without_the_owners_lock_the_change_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "lock_owners", lambda _c, _b, owners, _r: owners)
    add_while_recomputing(world)
    assert world.drift() != [], "Without the lock nothing went wrong: the lock guards nothing."
