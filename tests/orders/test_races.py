"""Concurrent processes leave no drift, no wrong correction and no deadlock; mutants without a lock do.

FAULTS.md lines 21, 26 and 27.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.figures.keeping import drain, recomputing
from backoffice.orders.models import Order, OrderLine
from tests.depth import examples
from tests.factories.orders import OrderFactory
from tests.processes import Race, barrier, sqlstate, together

from .books import Book, stored

pytestmark = pytest.mark.slow

ROUNDS = 100
SAVES, ROUNDS_BESIDE = examples(50), examples(8)
"""The number of saves of each writer, and of rounds of the processes that read, heal or tamper concurrently."""

Outside = psycopg.Connection[Any]


def orders(session: Any, number: int, **facts: Any) -> list[int]:
    """Create and commit that many orders; returns their ids."""
    made = [OrderFactory(**facts).id for _ in range(number)]
    session.commit()
    session.rollback()
    return made


def everything_is_right(session: Any, outside: Outside) -> None:
    """Assert no drift, by the product's own verification and by the tests' arithmetic, and no notes."""
    assert list(figures.verify(session)) == []
    assert stored(outside) == Book.read(outside).totals()
    assert set(figures.noted(session).values()) == {0}


# The first rows of one owner


def first_lines(app: Flask, keys: list[int]) -> None:
    """Two processes each add the first line of every order, at the same time."""
    meet = barrier(2)

    def add(quantity: int) -> None:
        for key in keys:
            meet.wait()
            line = OrderLine(
                order_id=key, kind="package", quantity=Decimal(quantity), unit_price=Decimal(10)
            )
            db.session.add(line)
            meet.wait()
            db.session.commit()

    together(app, lambda: add(1), lambda: add(2))


@pytest.mark.parametrize("itemised", [["package"], []], ids=["itemised", "not yet itemised"])
def test_two_processes_that_write_the_first_lines_of_an_order_a_hundred_times_leave_no_drift(
    app: Flask, session: Any, outside: Outside, itemised: list[str]
) -> None:
    keys = orders(session, ROUNDS, itemised=itemised)
    first_lines(app, keys)
    everything_is_right(session, outside)
    totals = stored(outside)
    assert {totals["orders", key]["total_price"] for key in keys} == {Decimal(30)}


def _without_a_lock(_: Any, __: Any, owners: set[int], ___: Any) -> set[int]:
    return owners


class _LockedAndComputedInOneStatement:
    """The recompute, with its owner locked by a subquery of the same statement."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.honest = recomputing.recompute(*args, **options).clause

    def rows(self, connection: Any, **parameters: Any) -> list[Any]:
        """As `Statement.rows`."""
        compiled = self.honest.compile(dialect=connection.dialect)
        locked = "(SELECT o.id FROM orders AS o WHERE o.id = %(owner)s FOR NO KEY UPDATE)"
        locking = str(compiled).replace("%(owner)s::BIGINT", locked)
        assert locking != str(compiled)
        return list(connection.exec_driver_sql(locking, compiled.construct_params(parameters)))


@pytest.mark.leaves_drift
@pytest.mark.parametrize("mutant", ["takes no lock", "locks and computes in one statement"])
def test_a_drain_that_does_not_lock_first_leaves_drift(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    """The mutants that the test above must detect."""
    keys = orders(session, ROUNDS, itemised=["package"])
    monkeypatch.setattr(drain, "lock_owners", _without_a_lock)
    if mutant != "takes no lock":
        monkeypatch.setattr(drain, "recompute", _LockedAndComputedInOneStatement)
    first_lines(app, keys)
    wrong = {finding.owner for finding in figures.verify(session)}
    assert len(wrong) > ROUNDS / 10


# Different lines of one order


def test_two_sessions_that_edit_different_lines_of_one_order_leave_no_drift(
    app: Flask, session: Any, outside: Outside
) -> None:
    lines = [(kind, "", "1", "10") for kind in ("package", "package", "promo")]
    [key] = orders(session, 1, lines=lines)
    ids = list(session.scalars(select(OrderLine.id).order_by(OrderLine.id)))
    session.rollback()
    meet = barrier(3)

    def edit(line: int) -> None:
        for n in range(ROUNDS):
            meet.wait()
            db.session.get_one(OrderLine, line).quantity = Decimal(n + 2)
            db.session.flush()
            meet.wait()
            db.session.commit()

    together(app, *(lambda line=line: edit(line) for line in ids))
    everything_is_right(session, outside)
    assert stored(outside)["orders", key]["total_price"] == 2 * 10 * (ROUNDS + 1)


# Many writers


def live_edits(seed: int, keys: list[int], race: Race) -> Counter[str]:
    """Typical edits of users: add, edit, move and delete lines, and enter amounts, one order per save.

    Returns how often each outcome occurred: `done`, or the SQL state of the refusal.
    """
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    for _ in race.turns(SAVES):
        try:
            chance.choice(EDITS)(chance, chance.choice(keys))
            db.session.commit()
            outcomes["done"] += 1
        except DBAPIError as error:
            db.session.rollback()
            outcomes[sqlstate(error)] += 1
    return outcomes


def _add_line(chance: random.Random, key: int) -> None:
    kind = chance.choice(["package", "promo", "addition"])
    price = Decimal(chance.randint(1, 10**6)).scaleb(-4)
    line = OrderLine(
        order_id=key, kind=kind, quantity=Decimal(chance.randint(1, 9)), unit_price=price
    )
    db.session.add(line)


def _edit_line(chance: random.Random, key: int) -> None:
    line = _some_line(chance, key)
    if line is not None:
        line.quantity = Decimal(chance.randint(1, 10**5)).scaleb(-3)


def _delete_line(chance: random.Random, key: int) -> None:
    line = _some_line(chance, key)
    if line is not None:
        db.session.delete(line)


def _enter_amount(chance: random.Random, key: int) -> None:
    db.session.get_one(Order, key).reductions = Decimal(chance.randint(0, 99))


def _raise_prices(chance: random.Random, key: int) -> None:
    raised = text(
        "UPDATE order_lines SET unit_price = round(unit_price * 1.07, 4) WHERE order_id = :o"
    )
    db.session.execute(raised, {"o": key})


def _some_line(chance: random.Random, key: int) -> OrderLine | None:
    lines = db.session.scalars(
        select(OrderLine).where(OrderLine.order_id == key).with_for_update(skip_locked=True)
    ).all()
    return chance.choice(lines) if lines else None


EDITS: tuple[Callable[[random.Random, int], None], ...] = (
    _add_line,
    _edit_line,
    _edit_line,
    _delete_line,
    _enter_amount,
    _raise_prices,
)


def test_a_heal_that_races_live_edits_fixes_nothing_that_is_right(
    app: Flask, session: Any, outside: Outside
) -> None:
    """Line 26: repeated rebuilds of everything, concurrent with three writers of the same few orders."""
    keys = orders(session, 4)
    race = Race(4)

    def heal() -> None:
        for _ in race.turns(ROUNDS_BESIDE):
            assert figures.heal(db.session, every_owner=True).failures == []
            figures.heal_noted(db.session)

    *writers, _healed = together(
        app, *(lambda seed=seed: live_edits(seed, keys, race) for seed in (1, 2, 3)), heal
    )
    outcomes = sum(writers, Counter[str]())
    assert outcomes["done"] >= 3 * SAVES
    assert set(outcomes) == {"done"}
    assert outside.execute("SELECT count(*) FROM corrections").fetchone() == (0,)
    everything_is_right(session, outside)


def test_a_heal_gives_way_to_whoever_saves_the_line_that_it_wants_to_write(
    app: Flask, session: Any, outside: Outside
) -> None:
    """The heal locks the order and waits for the line, the save locks the line and waits for the order."""
    [key] = orders(session, 1, lines=[("package", "", "1", "10"), ("package", "", "1", "10")])
    line = session.scalar(select(OrderLine.id).order_by(OrderLine.id))
    session.rollback()
    outside.execute("UPDATE order_lines SET amount = 1 WHERE id = %s", (line,))
    meet = barrier(2)

    def save() -> float:
        db.session.get_one(OrderLine, line).quantity = Decimal(7)
        db.session.flush()
        meet.wait()
        begun = time.monotonic()
        time.sleep(0.2)  # until the heal has locked the order
        db.session.commit()
        return time.monotonic() - begun

    def heal() -> figures.HealResult:
        meet.wait()
        return figures.heal(db.session)

    seconds, healed = together(app, save, heal)
    assert seconds < 5  # the lock timeout of a save
    assert healed.failures == []
    figures.heal_noted(session)
    everything_is_right(session, outside)
    assert stored(outside)["orders", key]["total_price"] == 80


def test_verification_under_live_load_raises_no_false_alarm(
    app: Flask, session: Any, outside: Outside
) -> None:
    """Line 27: verification while three processes write finds no drift, because there is none."""
    keys = orders(session, 4)
    race = Race(4)

    def verify() -> None:
        for _ in race.turns(ROUNDS_BESIDE):
            assert [f.as_dict() for f in figures.verify(db.session)] == []

    *writers, _verified = together(
        app, *(lambda seed=seed: live_edits(seed, keys, race) for seed in (4, 5, 6)), verify
    )
    assert sum(writers, Counter[str]())["done"] > 2 * SAVES
    everything_is_right(session, outside)


def test_a_program_that_tampers_beside_live_edits_and_healers_leaves_no_drift(
    app: Flask, session: Any, outside: Outside, database_url: str, owner_database_url: str
) -> None:
    """Two programs write past the app, as two database users; three healers correct what they did.

    No heal deadlocks: it yields to the other transaction. A save, or a program's statement, that conflicts with
    an open statement on the same lines may be refused, and then changes nothing.
    """
    keys = orders(session, 4)
    race = Race(7)

    def tamper(url: str, seed: int) -> Counter[str]:
        chance = random.Random(seed)
        outcomes: Counter[str] = Counter()
        with psycopg.connect(url, autocommit=True) as connection:
            for _ in race.turns(5 * ROUNDS_BESIDE):
                statement = chance.choice(TAMPERING)
                try:
                    connection.execute(statement.encode(), {"key": chance.choice(keys)})
                    outcomes["done"] += 1
                except psycopg.errors.DeadlockDetected:
                    outcomes["40P01"] += 1
                time.sleep(0.01)
        return outcomes

    def heal(how: Callable[[], object]) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for _ in race.turns(ROUNDS_BESIDE):
            try:
                how()
                outcomes["done"] += 1
            except DBAPIError as error:
                outcomes[sqlstate(error)] += 1
        return outcomes

    *writers, first, second, third = together(
        app,
        lambda: tamper(database_url, 1),
        lambda: tamper(owner_database_url, 2),
        *(lambda seed=seed: live_edits(seed, keys, race) for seed in (7, 8)),
        lambda: heal(lambda: figures.heal_noted(db.session)),
        lambda: heal(lambda: figures.heal_noted(db.session)),
        lambda: heal(lambda: figures.heal(db.session)),
    )
    figures.heal_noted(session)
    everything_is_right(session, outside)
    assert set(first) == set(second) == set(third) == {"done"}
    causes = dict(
        outside.execute("SELECT cause, count(*) FROM corrections GROUP BY cause").fetchall()
    )
    assert causes["bypass"] > 0
    outcomes = sum(writers, Counter[str]())
    assert outcomes.keys() <= {"done", "40P01"}
    assert outcomes["done"] > 10 * outcomes["40P01"]


TAMPERING = (
    "UPDATE orders SET grand_total = 1 WHERE id = %(key)s",
    "UPDATE order_lines SET amount = 1 WHERE order_id = %(key)s",
    "UPDATE order_lines SET quantity = quantity + 1 WHERE order_id = %(key)s",
)


# Deadlocks


def test_transactions_over_two_orders_in_opposite_order_do_not_deadlock(
    app: Flask, session: Any, outside: Outside
) -> None:
    """Line 21: A→B concurrent with B→A. Lines are written in either order; the drain locks orders by id."""
    lines = [("package", "", "1", "10"), ("package", "", "1", "10")]
    a, b = orders(session, 2, lines=lines)
    of = {k: list(session.scalars(select(OrderLine.id).filter_by(order_id=k))) for k in (a, b)}
    session.rollback()
    meet = barrier(2)

    def edit(first: int, then: int) -> None:
        for n in range(ROUNDS // 2):
            lines = [db.session.get_one(OrderLine, line) for line in (first, then)]
            for line in lines:
                meet.wait()
                line.quantity = Decimal(n + 2)
                db.session.flush()
            db.session.commit()

    together(app, lambda: edit(of[a][0], of[b][0]), lambda: edit(of[b][1], of[a][1]))
    everything_is_right(session, outside)


def test_of_two_transactions_that_do_deadlock_one_wins_and_the_other_leaves_nothing(
    app: Flask, session: Any, outside: Outside
) -> None:
    """Both read the first order's total, which locks it, before they write the other order's lines."""
    lines = [("package", "", "1", "10"), ("package", "", "1", "10")]
    a, b = orders(session, 2, lines=lines)
    of = {k: list(session.scalars(select(OrderLine.id).filter_by(order_id=k))) for k in (a, b)}
    session.rollback()
    meet = barrier(2)

    def edit(first: int, then: int, quantity: int) -> str:
        try:
            for line in (first, then):
                db.session.get_one(OrderLine, line).quantity = Decimal(quantity)
                if line == first:
                    db.session.scalars(select(Order.grand_total)).all()
                    meet.wait()
            db.session.commit()
        except DBAPIError as error:
            db.session.rollback()
            return sqlstate(error)
        return "done"

    outcomes = together(
        app, lambda: edit(of[a][0], of[b][0], 5), lambda: edit(of[b][1], of[a][1], 7)
    )
    assert sorted(outcomes) == ["40P01", "done"]
    everything_is_right(session, outside)
    winner = Decimal(5 if outcomes[0] == "done" else 7)
    quantities = sorted(line.quantity for line in Book.read(outside).lines.values())
    assert quantities == [1, 1, winner, winner]
