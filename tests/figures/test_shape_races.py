"""Gas, wallets and a ledger under concurrent writers, each in a process of its own.

Without their locks the same races go wrong.
"""

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backoffice.figures.keeping import drain as drain_module
from backoffice.figures.keeping import holding, locking
from tests.depth import examples
from tests.processes import Work, barrier, in_rounds, sqlstate

from . import gas, ledger, wallets
from .gas import GAS
from .ledger import LEDGER
from .shapes import Shape
from .wallets import WALLETS, InsufficientBalance, charge, charge_unlocked
from .worlds import Building, World

pytestmark = pytest.mark.slow

D = Decimal
Charge = Callable[[Session, int, Decimal], None]
Races = Callable[..., list[list[Any]]]

DEADLOCK = "40P01"


@pytest.fixture
def world(building: Building, shape: Shape) -> Iterator[World]:
    """The shape's world, with nothing but its owners."""
    with building(shape.base, shape.registry) as made:
        shape.begin(made)
        yield made


@pytest.fixture
def race(app: Any, world: World) -> Races:
    """As `processes.in_rounds`, with connections of its own to the world for each process."""

    begun: set[int] = set()

    def apart(work: Callable[..., Any]) -> Callable[..., Any]:
        def act(*number: int) -> Any:
            if os.getpid() not in begun:
                begun.add(os.getpid())
                world.engine.dispose(close=False)  # the connections belong to the parent process
            return work(*number)

        return act

    def race(rounds: int, *hands: Callable[[int], Any], between: Work | None = None) -> Any:
        after = None if between is None else apart(between)
        return in_rounds(app, rounds, *map(apart, hands), between=after)

    return race


def of(shape: Shape) -> pytest.MarkDecorator:
    """Parametrizes the test with this shape's world."""
    return pytest.mark.parametrize("shape", [shape], ids=lambda s: s.name)


def is_as_python_says(world: World, shape: Shape) -> None:
    assert shape.stored(world) == shape.expected(world)


# Wallets


def charge_until_refused(world: World, race: Races, how: Charge) -> int:
    """Eight processes take 7 each from one wallet of 100 until refused; returns how often that succeeded."""
    with world.sessions() as session:
        session.add(wallets.Movement(wallet_id=1, kind="recharge", amount=D(100)))
        session.commit()

    def take(_: int) -> int:
        taken = 0
        with world.sessions() as session:
            try:
                while True:
                    how(session, 1, D(7))
                    session.commit()
                    taken += 1
            except InsufficientBalance:
                return taken

    return sum(taken for [taken] in race(1, *[take] * 8))


@of(WALLETS)
def test_of_eight_who_charge_one_wallet_none_gets_what_is_not_there(
    world: World, race: Races
) -> None:
    assert charge_until_refused(world, race, charge) == 14
    is_as_python_says(world, WALLETS)
    assert WALLETS.stored(world)["wallets"][1,] == (D(2), D(100), D(98))
    assert world.drift() == []


@of(WALLETS)
def test_without_the_lock_a_wallet_is_charged_with_more_than_it_holds(
    world: World, race: Races
) -> None:
    for _ in range(20):
        WALLETS.begin(world)
        if charge_until_refused(world, race, charge_unlocked) > 14:
            return
    pytest.fail("Without the lock nothing went wrong: the lock guards nothing.")


@of(WALLETS)
def test_charges_edits_and_moves_of_one_wallet_do_not_meet(world: World, race: Races) -> None:
    with world.sessions() as session:
        session.add_all(
            wallets.Movement(wallet_id=w, kind="recharge", amount=D(10**6)) for w in (1, 2)
        )
        session.commit()

    def hold(
        session: Session, *owners: int
    ) -> None:  # writes wait for rows that others are editing
        locking.hold(session.connection(), world.registry.bundle_of(wallets.running), owners)

    def charged(_: int) -> None:
        with world.sessions() as session:
            charge(session, 1, D(3))
            session.commit()

    def edited(number: int) -> None:
        with world.sessions() as session:
            hold(session, 1)
            first = update(wallets.Movement).where(wallets.Movement.id == 1)
            session.execute(first.values(amount=10**6 + number))
            session.commit()

    def moved(number: int) -> None:
        with world.sessions() as session:
            hold(session, 1, 2)
            ids = select(wallets.Movement.id).order_by(wallets.Movement.id.desc()).limit(1)
            last = update(wallets.Movement).where(wallets.Movement.id == ids.scalar_subquery())
            session.execute(last.values(wallet_id=1 + number % 2))
            session.commit()

    hands = (charged, edited, moved, charged)
    race(examples(15), *hands, between=lambda: is_as_python_says(world, WALLETS))
    assert world.drift() == []


# Gas


def read_and_price_at_once(
    world: World, race: Races, rounds: int, between: Work | None = None
) -> None:
    """Several processes at once add readings of today and of the past, payments and prices for one customer."""
    start = date(2024, 1, 1)
    with world.sessions() as session:
        session.add(gas.Price(customer_id=1, effective_from=start, price=D(10), factor=D(1)))
        session.commit()

    def adds(make: Callable[[int, date], Any]) -> Callable[[int], None]:
        def add(number: int) -> None:
            past = start + timedelta(random.Random(number).randrange(100))
            with world.sessions() as session:
                session.add(make(number, past))
                session.commit()

        return add

    race(
        rounds,
        adds(
            lambda number, _: gas.Reading(
                customer_id=1, read_on=start + timedelta(100 + number), volume=D("12.345")
            )
        ),
        adds(lambda _, past: gas.Reading(customer_id=1, read_on=past, volume=D("1.5"))),
        adds(lambda _, past: gas.Deposit(customer_id=1, deposited_on=past, amount=D(77))),
        adds(
            lambda number, past: gas.Price(
                customer_id=1, effective_from=past, price=D(number), factor=D("1.01")
            )
        ),
        between=between,
    )


@of(GAS)
def test_readings_of_today_and_of_the_past_and_prices_do_not_meet(
    world: World, race: Races
) -> None:
    read_and_price_at_once(world, race, examples(15), lambda: is_as_python_says(world, GAS))
    assert world.drift() == []


@of(GAS)
def test_without_the_lock_a_reading_is_lost_from_a_balance(
    world: World, race: Races, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "lock_owners", lambda _c, _b, owners, _r: owners)
    for _ in range(5):
        GAS.begin(world)
        read_and_price_at_once(world, race, 5)
        if GAS.stored(world) != GAS.expected(world):
            return
    pytest.fail("Without the lock nothing went wrong: the lock guards nothing.")


# The ledger


PAIRS = ((1, 2), (2, 1), (2, 3), (3, 1))
"""Accounts that are debited and credited, each pair in both orders."""


def lines(debited: int, credited: int, amount: int) -> list[dict[str, Any]]:
    common = {"posting_id": 1, "posted_on": date(2024, 2, 1)}
    return [
        common | {"account_id": debited, "debit": D(amount)},
        common | {"account_id": credited, "credit": D(amount)},
    ]


def in_one_statement(session: Session, *entry: int) -> None:
    nothing = {"debit": D(0), "credit": D(0)}
    session.execute(insert(ledger.Line).values([nothing | line for line in lines(*entry)]))


def by_the_unit_of_work(session: Session, *entry: int) -> None:
    """Two statements, because the lines differ in their columns."""
    session.add_all(ledger.Line(**line) for line in lines(*entry))


def one_by_one(session: Session, *entry: int) -> None:
    for line in lines(*entry):
        session.execute(insert(ledger.Line).values(line))


def held_first(session: Session, *entry: int) -> None:
    bundle = LEDGER.registry.bundle_of(ledger.account_sums)
    locking.hold(session.connection(), bundle, entry[:2])
    one_by_one(session, *entry)


Post = Callable[..., None]


def post_both_ways(
    world: World, race: Races, rounds: int, how: Post, between: Work | None = None
) -> set[str]:
    """PostgreSQL's error for four processes that post at once to three accounts; empty where there was none."""

    def post(pair: tuple[int, int], number: int) -> str:
        with world.sessions() as session:
            try:
                how(session, *pair, number + 1)
                session.commit()
            except OperationalError as error:
                return sqlstate(error)
            return ""

    hands = (partial(post, pair) for pair in PAIRS)
    return {said for hand in race(rounds, *hands, between=between) for said in hand}


@of(LEDGER)
@pytest.mark.parametrize("how", [in_one_statement, by_the_unit_of_work, held_first])
def test_entries_that_name_the_same_accounts_in_opposite_order_do_not_meet(
    world: World, race: Races, how: Post
) -> None:
    said = post_both_ways(world, race, examples(10), how, lambda: is_as_python_says(world, LEDGER))
    assert said == {""}
    assert world.drift() == []


@of(LEDGER)
def test_where_each_line_is_a_statement_one_is_refused_and_comes_again(
    world: World, race: Races
) -> None:
    """The cost of sums added at once (decision 25): without locking the accounts first, a deadlock and a retry."""
    meet = barrier(2)

    def post(debited: int, credited: int) -> list[str]:
        said: list[str] = []
        while True:
            with world.sessions() as session:
                try:
                    for line in lines(debited, credited, 7):
                        session.execute(insert(ledger.Line).values(line | {"posting_id": None}))
                        if not said and "debit" in line:
                            meet.wait()
                    session.commit()
                    return said
                except OperationalError as error:
                    said.append(sqlstate(error))
            time.sleep(0.05)  # so that the waiting process goes first

    [[one], [other]] = race(1, lambda _: post(1, 2), lambda _: post(2, 1))
    assert {*one, *other} == {DEADLOCK}
    assert LEDGER.stored(world)["accounts"] == {(1,): (7, 7), (2,): (7, 7), (3,): (0, 0)}
    is_as_python_says(world, LEDGER)
    assert world.drift() == []


@of(LEDGER)
def test_a_unit_of_work_that_holds_nobody_first_ends_in_a_deadlock(
    world: World, race: Races, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "hold", lambda *_: None)
    for _ in range(20):
        if DEADLOCK in post_both_ways(world, race, 2, by_the_unit_of_work):
            return
    pytest.fail("Nobody met: what is held before a flush guards nothing.")


def trigger_changed(world: World, *changes: tuple[str, str]) -> None:
    """Replace the trigger that adds up postings by one with these changes to its text, each of which must apply."""
    name = "backoffice_note_shape_lines_insert"
    found = world.outside.execute(
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", [name]
    ).fetchone()
    assert found is not None
    [body] = found
    for part, other in changes:
        body, times = re.subn(part, other, body, flags=re.DOTALL)
        assert times, part
    world.outside.execute(body)


@of(LEDGER)
def test_accounts_that_are_held_in_the_order_of_the_lines_end_in_a_deadlock(
    world: World, race: Races
) -> None:
    first = "(SELECT min(l.id) FROM new_rows AS l WHERE l.account_id = shape_accounts.id)"
    held = r"(PERFORM 1 FROM shape_accounts [^;]* ORDER BY) id FOR NO KEY UPDATE"
    trigger_changed(world, (held, rf"\1 {first} FOR NO KEY UPDATE"))
    for _ in range(5):
        if DEADLOCK in post_both_ways(world, race, 10, in_one_statement):
            return
    pytest.fail("In the order of the lines nobody met: the order by id guards nothing.")


@of(LEDGER)
def test_a_balance_that_is_read_before_its_account_is_held_loses_a_line(
    world: World, race: Races
) -> None:
    held = r"PERFORM 1 FROM shape_accounts [^;]*;"
    added = r"debits = t\.debits \+"
    read = "debits = (SELECT a.debits FROM shape_accounts AS a WHERE a.id = t.id) +"
    trigger_changed(world, (added, read))
    post_both_ways(world, race, 10, in_one_statement)
    is_as_python_says(world, LEDGER)  # locked before reading, so that nothing is lost
    trigger_changed(world, (held, "NULL;"))
    for _ in range(5):
        LEDGER.begin(world)
        post_both_ways(world, race, 10, in_one_statement)
        if LEDGER.stored(world) != LEDGER.expected(world):
            return
    pytest.fail("Without the lock nothing went wrong: the lock guards nothing.")
