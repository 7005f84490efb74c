"""Gas, wallets and a ledger under several hands at once; and without the lock the same races go wrong."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from backoffice.figures import drain as drain_module
from backoffice.figures import recomputing
from tests.depth import examples

from . import gas, ledger, wallets
from .gas import GAS
from .ledger import LEDGER
from .shapes import Shape
from .test_races import at_once
from .wallets import WALLETS, InsufficientBalance, charge, charge_unlocked
from .worlds import Building, World

pytestmark = pytest.mark.slow

D = Decimal
Charge = Callable[[Session, int, Decimal], None]


@pytest.fixture
def world(building: Building, shape: Shape) -> Iterator[World]:
    """The shape's own, with nothing but its owners."""
    with building(shape.base, shape.registry) as made:
        shape.begin(made)
        yield made


def of(shape: Shape) -> pytest.MarkDecorator:
    """The world of the test."""
    return pytest.mark.parametrize("shape", [shape], ids=lambda s: s.name)


# Wallets


def charge_until_refused(world: World, how: Charge) -> int:
    """Eight take 7 out of one wallet of 100, each until it is refused; how often that went well."""
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

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(take, range(8)))


@of(WALLETS)
def test_of_eight_who_charge_one_wallet_none_gets_what_is_not_there(world: World) -> None:
    assert charge_until_refused(world, charge) == 14
    assert WALLETS.stored(world) == WALLETS.expected(world)
    assert WALLETS.stored(world)["wallets"][1,] == (D(2), D(100), D(98))
    assert world.drift() == []


@of(WALLETS)
def test_without_the_lock_a_wallet_is_charged_with_more_than_it_holds(world: World) -> None:
    for _ in range(20):
        WALLETS.begin(world)
        if charge_until_refused(world, charge_unlocked) > 14:
            return
    pytest.fail("Without the lock nothing went wrong: the lock guards nothing.")


@of(WALLETS)
def test_charges_edits_and_moves_of_one_wallet_do_not_meet(world: World) -> None:
    with world.sessions() as session:
        session.add_all(
            wallets.Movement(wallet_id=w, kind="recharge", amount=D(10**6)) for w in (1, 2)
        )
        session.commit()

    def hold(
        session: Session, *owners: int
    ) -> None:  # what is written follows upon what others are editing
        recomputing.hold(session.connection(), world.registry.bundle_of(wallets.running), owners)

    def charged() -> None:
        with world.sessions() as session:
            charge(session, 1, D(3))
            session.commit()

    def edited(amount: int) -> None:
        with world.sessions() as session:
            hold(session, 1)
            session.execute(
                update(wallets.Movement).where(wallets.Movement.id == 1).values(amount=amount)
            )
            session.commit()

    def moved(wallet: int) -> None:
        with world.sessions() as session:
            hold(session, 1, 2)
            last = (
                select(wallets.Movement.id)
                .order_by(wallets.Movement.id.desc())
                .limit(1)
                .scalar_subquery()
            )
            session.execute(
                update(wallets.Movement).where(wallets.Movement.id == last).values(wallet_id=wallet)
            )
            session.commit()

    for number in range(examples(15)):
        at_once(
            charged, lambda n=number: edited(10**6 + n), lambda n=number: moved(1 + n % 2), charged
        )
        assert WALLETS.stored(world) == WALLETS.expected(world)
    assert world.drift() == []


# Gas


def read_and_price_at_once(world: World, rounds: int) -> None:
    """One customer is read today and for the past, pays, and gets other prices, by several at once."""
    chance = random.Random(13)
    start = date(2024, 1, 1)
    with world.sessions() as session:
        session.add(gas.Price(customer_id=1, effective_from=start, price=D(10), factor=D(1)))
        session.commit()

    def add(row: Any) -> None:
        with world.sessions() as session:
            session.add(row)
            session.commit()

    for number in range(rounds):
        today = start + timedelta(100 + number)
        past = start + timedelta(chance.randrange(100))
        rows = (
            gas.Reading(customer_id=1, read_on=today, volume=D("12.345")),
            gas.Reading(customer_id=1, read_on=past, volume=D("1.5")),
            gas.Deposit(customer_id=1, deposited_on=past, amount=D(77)),
            gas.Price(customer_id=1, effective_from=past, price=D(number), factor=D("1.01")),
        )
        at_once(*(lambda row=row: add(row) for row in rows))


@of(GAS)
def test_readings_of_today_and_of_the_past_and_prices_do_not_meet(world: World) -> None:
    read_and_price_at_once(world, examples(15))
    assert GAS.stored(world) == GAS.expected(world)
    assert world.drift() == []


@of(GAS)
def test_without_the_lock_a_reading_is_lost_from_a_balance(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "lock_owners", lambda _c, _b, owners, _r: owners)
    for _ in range(5):
        GAS.begin(world)
        read_and_price_at_once(world, 5)
        if GAS.stored(world) != GAS.expected(world):
            return
    pytest.fail("Without the lock nothing went wrong: the lock guards nothing.")


# The ledger


@of(LEDGER)
def test_entries_that_name_the_same_accounts_in_opposite_order_do_not_meet(world: World) -> None:
    def post(debited: int, credited: int, amount: int) -> None:
        common = {"posting_id": 1, "posted_on": date(2024, 2, 1)}
        lines = [
            common | {"account_id": debited, "debit": D(amount), "credit": D(0)},
            common | {"account_id": credited, "debit": D(0), "credit": D(amount)},
        ]
        with world.sessions() as session:  # in one statement, whose owners are locked in order
            session.execute(insert(ledger.Line).values(lines))
            session.commit()

    for number in range(examples(30)):
        pairs = ((1, 2), (2, 1), (2, 3), (3, 1))
        at_once(*(lambda p=pair, n=number: post(*p, n + 1) for pair in pairs))
    assert LEDGER.stored(world) == LEDGER.expected(world)
    assert world.drift() == []
