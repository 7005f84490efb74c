"""A wallet with a transaction written past the app is reported and not healed."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from backoffice import figures
from backoffice.drift.facts.holding import BROKEN, HELD
from backoffice.figures.models import Correction
from backoffice.runs.models import RunItem
from backoffice.wallets import actions
from backoffice.wallets.models import Wallet, WalletTransaction
from tests.drift.books import run_of
from tests.factories.wallets import WalletFactory

D = Decimal

Stored = tuple[list[tuple[Decimal, ...]], list[tuple[Decimal, ...]]]


@pytest.fixture
def wallets(session: Any) -> list[Wallet]:
    """Two wallets, each with a recharge of 900 (transactions 1 and 4) and two charges of 100."""
    made = [WalletFactory(), WalletFactory()]
    for wallet in made:
        actions.recharge(session, wallet.id, D(900))
        for _ in range(2):
            actions.charge(session, wallet.id, D(100))
    session.commit()
    return made


def stored(session: Any) -> Stored:
    session.rollback()
    t, w = WalletTransaction, Wallet
    rows = session.execute(select(t.id, t.amount, t.balance_before, t.balance_after).order_by(t.id))
    sums = session.execute(select(w.id, w.balance, w.total_recharged, w.total_spent).order_by(w.id))
    return [tuple(row) for row in rows], [tuple(row) for row in sums]


def found(session: Any) -> dict[str, set[int]]:
    """The wrong wallets, by figure."""
    wrong: dict[str, set[int]] = {}
    for finding in figures.verify(session):
        wrong.setdefault(finding.figure.name, set()).add(finding.owner)
    return wrong


RUNNING, SUMS = "wallet_transactions.balance", "wallets.balance"

TAMPERED = {
    "a transaction changed": ("UPDATE wallet_transactions SET amount = 99 WHERE id = 2", {RUNNING, SUMS}, HELD),
    "a transaction removed": ("DELETE FROM wallet_transactions WHERE id = 2", {RUNNING, SUMS}, HELD),
    "the last one removed": ("DELETE FROM wallet_transactions WHERE id = 3", {SUMS}, HELD),
    "one put there": (
        (
            "INSERT INTO wallet_transactions (wallet_id, transaction_type, amount, balance_before, balance_after)"
            " VALUES (1, 'recharge', 5, 700, 705)"
        ), {SUMS}, HELD,
    ),
    "a balance before": ("UPDATE wallet_transactions SET balance_before = 0 WHERE id = 2", {RUNNING}, BROKEN),
    "a balance after": ("UPDATE wallet_transactions SET balance_after = 0 WHERE id = 3", {RUNNING}, BROKEN),
    "both": (
        "UPDATE wallet_transactions SET balance_before = 7, balance_after = 8 WHERE id = 1", {RUNNING}, BROKEN,
    ),
}  # fmt: skip
"""Tampering past every trigger, the figures that are wrong by it, and why they are not healed."""


@pytest.mark.leaves_drift
@pytest.mark.parametrize("what", TAMPERED)
def test_the_wallet_is_named_and_nothing_is_healed_over_it(
    session: Any, surgery: Any, wallets: list[Wallet], what: str
) -> None:
    tampered, wrong, why = TAMPERED[what]
    surgery.execute(tampered)
    surgery.execute("UPDATE wallets SET balance = balance + 5, total_spent = 1 WHERE id = 2")
    surgery.execute("UPDATE wallets SET balance = balance - 3, total_recharged = 0 WHERE id = 1")
    assert found(session) == {**{name: {1} for name in wrong}, SUMS: {1, 2}}
    before = stored(session)
    run = run_of("figures.heal")
    rows, [first_after, second_after] = stored(session)
    assert (rows, first_after) == (before[0], before[1][0]), "nothing is written over it"
    assert second_after == (2, 700, 900, 200), "the other wallet's sums are healed"
    skipped = session.scalars(select(RunItem).filter_by(run_id=run.id, outcome="skipped")).all()
    assert {(item.owner, item.error) for item in skipped} == {(1, why)}
    assert found(session).keys() == {SUMS} | wrong


@pytest.mark.leaves_drift
def test_neither_the_nightly_fix_nor_a_rebuild_heals_over_it_and_a_person_with_a_reason_does(
    session: Any, surgery: Any, wallets: list[Wallet], run_command: Callable[..., Any]
) -> None:
    surgery.execute("UPDATE wallet_transactions SET balance_after = 0 WHERE id = 3")
    before = stored(session)
    run_of("figures.verify", {"fix": True})
    run_of("figures.rebuild")
    assert run_command("figures", "heal").exit_code == 1
    assert stored(session) == before
    healed = run_command(
        "figures", "heal", "--owner", wallets[0].number, RUNNING, "--reason", "Looked"
    )
    assert healed.exit_code == 0, healed.output
    assert found(session) == {}
    [correction] = session.scalars(select(Correction)).all()
    assert (correction.figure, correction.owner, correction.reason) == (RUNNING, 1, "Looked")


@pytest.mark.leaves_drift
@pytest.mark.parametrize("row", [1, 2, 3])
@pytest.mark.parametrize("column", ["balance_before", "balance_after"])
def test_people_go_on_trading_and_what_is_in_doubt_stays_as_it_is(
    session: Any, surgery: Any, wallets: list[Wallet], row: int, column: str
) -> None:
    """Also of the last row: a transaction is not continued from a balance that was tampered with."""
    surgery.execute(f"UPDATE wallet_transactions SET {column} = 17 WHERE id = {row}")
    before = stored(session)[0]
    actions.charge(session, 1, D(50))
    session.commit()
    actions.recharge(session, 1, D(20))
    session.commit()
    rows, [first, _second] = stored(session)
    assert rows[:-2] == before
    assert rows[-2:] == [(7, 50, 700, 650), (8, 20, 650, 670)]
    assert first == (1, 670, 920, 250)
    assert found(session) == {RUNNING: {1}}


def test_what_another_program_enters_without_balances_is_completed_and_nobody_is_held(
    session: Any, app_connection: Any, wallets: list[Wallet], run_command: Callable[..., Any]
) -> None:
    app_connection.execute(
        "INSERT INTO wallet_transactions (wallet_id, transaction_type, amount) VALUES (1, 'refund', 20)"
    )
    drained = json.loads(run_command("figures", "heal", "--noted", "--json").stdout)
    assert drained["failures"] == []
    rows, [first, _second] = stored(session)
    assert rows[-1] == (7, 20, 700, 720)
    assert first == (1, 720, 900, 180)


@pytest.mark.leaves_drift
def test_a_transaction_that_differs_from_the_trail_is_a_finding_of_its_wallet(
    session: Any, surgery: Any, wallets: list[Wallet], run_command: Callable[..., Any]
) -> None:
    surgery.execute("UPDATE wallet_transactions SET amount = 99 WHERE id = 2")
    surgery.execute("DELETE FROM wallet_transactions WHERE id = 6")
    reported = json.loads(
        run_command("audit", "verify-facts", "--table", "wallet_transactions", "--json").stdout
    )
    named = {(f["id"], f["kind"], f["name"]) for f in reported["findings"]}
    assert named == {
        (2, "changed", wallets[0].number), (6, "removed", wallets[1].number),
    }  # fmt: skip


@pytest.mark.leaves_drift
def test_what_was_removed_is_restored_from_the_trail_and_what_was_changed_only_the_owner_puts_right(
    session: Any, surgery: Any, wallets: list[Wallet], run_command: Callable[..., Any]
) -> None:
    before = stored(session)
    for tampered, words, status in (
        ("DELETE FROM wallet_transactions WHERE id = 2", "is restored from the audit trail", 0),
        ("UPDATE wallet_transactions SET amount = 1 WHERE id = 2", "Whoever owns the database", 2),
    ):
        surgery.execute(tampered)
        reported = run_command("audit", "verify-facts", "--table", "wallet_transactions", "--json")
        number = json.loads(reported.stdout)["findings"][0]["finding"]
        done = run_command("audit", "restore-fact", str(number), "--reason", "It was charged")
        assert (done.exit_code, words in done.stdout + done.stderr) == (status, True), done.output
        assert (stored(session) == before) is (status == 0)
