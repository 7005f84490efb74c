"""Several processes at one wallet, and one that dies: nothing is lost or partial, and no wallet is below zero."""

import os
import random
import signal
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.customers.models import Customer
from backoffice.wallets import actions
from backoffice.wallets.models import Wallet, WalletTransaction
from backoffice.wallets.refusals import InsufficientBalance, MoreThanCharged
from tests.depth import examples
from tests.factories.customers import CustomerFactory
from tests.factories.wallets import WalletFactory
from tests.faults.test_crashes import interrupted
from tests.processes import barrier, killed, together

from .books import is_in_step, sums, transactions

pytestmark = pytest.mark.slow

D = Decimal
MOST_STATEMENTS = 40


def test_a_wallet_that_is_not_there_yet_is_opened_once(app: Flask, session: Any) -> None:
    customer = CustomerFactory().id
    session.commit()
    session.rollback()
    meet = barrier(5)

    def work() -> int:
        meet.wait()
        wallet = actions.wallet_of(db.session(), customer)
        actions.recharge(db.session(), wallet.id, D(10))
        db.session.commit()
        return wallet.id

    opened = together(app, *[work] * 5)
    assert len(set(opened)) == 1
    assert session.scalar(select(func.count()).select_from(Wallet)) == 1
    assert sums(session, opened[0]) == (50, 50, 0)


def test_without_waiting_at_the_customer_there_would_be_several(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant."""
    customer = CustomerFactory().id
    session.commit()
    session.rollback()
    honest, everybody_has_read = actions.number_for, barrier(3)

    def read_unlocked(session: Any, model: Any, ids: Any, **_options: Any) -> dict[int, Any]:
        assert model is Customer
        return {key: session.get_one(model, key) for key in ids}

    def number_for(session: Any, entered: Any) -> str:
        everybody_has_read.wait()
        return f"{honest(session, entered)}-{os.getpid()}"

    monkeypatch.setattr(actions, "lock", read_unlocked)
    monkeypatch.setattr(actions, "number_for", number_for)

    def work() -> int:
        wallet = actions.wallet_of(db.session(), customer)
        db.session.commit()
        return wallet.id

    assert len(set(together(app, *[work] * 3))) == 3


def test_one_key_from_five_processes_is_one_transaction(
    app: Flask, session: Any, wallet: Wallet
) -> None:
    session.rollback()
    meet = barrier(5)

    def work() -> tuple[int, bool]:
        meet.wait()
        made = actions.post(db.session(), wallet.id, "charge", D(60_000), idempotency_key="k")
        db.session.commit()
        return made.row.id, made.is_new

    made = together(app, *[work] * 5)
    assert len({key for key, _ in made}) == 1
    assert sorted(is_new for _, is_new in made) == [False] * 4 + [True]
    assert sums(session, wallet.id) == (40_000, 100_000, 60_000)


def test_whatever_is_done_at_once_is_there_once_and_nobody_is_below_zero(
    app: Flask, session: Any
) -> None:
    """Charges, recharges and refunds of three wallets by four processes, while a fifth verifies and heals."""
    ids = [WalletFactory().id for _ in range(3)]
    for key in ids:
        actions.recharge(session, key, D(100))
    session.commit()
    session.rollback()

    def hand(seed: int) -> list[tuple[str, str]]:
        chance, done = random.Random(seed), []
        for number in range(examples(40)):
            kind, key = (
                chance.choice(("charge", "charge", "recharge", "refund")),
                f"{seed}-{number}",
            )
            amount = D(chance.randint(1, 6_000)).scaleb(-2)
            try:
                actions.post(db.session(), chance.choice(ids), kind, amount, idempotency_key=key)
                db.session.commit()
                done.append((key, kind))
            except (InsufficientBalance, MoreThanCharged):
                db.session.rollback()
        return done

    def watch() -> list[str]:
        found = []
        for _ in range(examples(8)):
            found += [str(finding) for finding in figures.verify(db.session)]
            assert figures.heal(db.session, every_owner=True).corrections == 0
        return found

    *done, found = together(app, *(lambda seed=seed: hand(seed) for seed in range(4)), watch)
    assert found == [], "a wallet is never seen to differ"
    acknowledged = {key for each in done for key, _ in each}
    keys = select(WalletTransaction.idempotency_key).where(
        WalletTransaction.idempotency_key.is_not(None)
    )
    stored = session.scalars(keys).all()
    assert (len(stored), set(stored)) == (len(acknowledged), acknowledged)
    assert acknowledged
    for key in ids:
        assert is_in_step(session, key)
        assert min(after for *_rest, after in transactions(session, key)) >= 0


Act = Callable[[Any, int], object]
ACTS: dict[str, Act] = {
    "charge": lambda s, key: actions.charge(s, key, D(30_000), idempotency_key="k"),
    "an adjustment that suspends": lambda s, key: actions.adjust(s, key, D(-200_000)),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_process_killed_at_any_statement_leaves_all_or_nothing(
    app: Flask, session: Any, wallet: Wallet, act: str
) -> None:
    key = wallet.id
    session.rollback()
    before = sums(session, key), transactions(session, key), wallet.status

    def dying(at: int) -> None:
        with interrupted(at, lambda _pid: os.kill(os.getpid(), signal.SIGKILL)):
            ACTS[act](db.session(), key)
            db.session.commit()

    for number in range(1, MOST_STATEMENTS):
        session.rollback()
        code = killed(app, lambda number=number: dying(number))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        session.expire_all()
        assert (sums(session, key), transactions(session, key), wallet.status) == before, number
    assert number > 3, "lock, insert, commit at least"
    session.expire_all()
    assert len(transactions(session, key)) == 2
    assert is_in_step(session, key)
    assert list(figures.verify(session)) == []


@pytest.mark.parametrize("act", ACTS)
def test_a_backend_that_ends_at_any_statement_leaves_all_or_nothing(
    app: Flask, session: Any, wallet: Wallet, act: str, admin_database_url: str
) -> None:
    import psycopg

    key = wallet.id
    before = sums(session, key), transactions(session, key)
    with psycopg.connect(admin_database_url, autocommit=True) as admin:
        for number in range(1, MOST_STATEMENTS):
            session.rollback()
            session.connection()
            end = lambda pid: admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))  # noqa: E731
            with interrupted(number, end):
                try:
                    ACTS[act](session(), key)
                    session.commit()
                    break
                except DBAPIError:
                    session.rollback()
            assert (sums(session, key), transactions(session, key)) == before, number
    assert number > 3
    assert len(transactions(session, key)) == 2
    assert is_in_step(session, key)
