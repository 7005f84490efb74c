"""The nine tests of seed 004, by name: a wallet's balance never differs from its transactions."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from backoffice.app.extensions import db
from backoffice.figures.models import Correction
from backoffice.wallets import actions, syncing
from backoffice.wallets.models import Wallet, WalletTransaction
from backoffice.wallets.refusals import InsufficientBalance
from tests.customers.merges import customer, merge
from tests.factories.wallets import WalletFactory
from tests.processes import barrier, together

from .books import is_in_step, sums, transactions

D = Decimal
Command = Callable[..., Any]


def test_single_charge_updates_both_tables_atomically(session: Any, wallet: Wallet) -> None:
    made = actions.charge(
        session, wallet.id, D(30_000), service_type="vps", description="VPS usage: 60 min", reference="VpsUsage:7",
    )  # fmt: skip
    assert sums(session, wallet.id) == (100_000, 100_000, 0), "nothing is there before the commit"
    made = actions.charge(
        session, wallet.id, D(30_000), service_type="vps", description="VPS usage: 60 min", reference="VpsUsage:7",
    )  # fmt: skip
    session.commit()
    reported = (made.transaction_type, made.service_type, made.description, made.reference)
    assert reported == ("charge", "vps", "VPS usage: 60 min", "VpsUsage:7")
    assert sums(session, wallet.id) == (70_000, 100_000, 30_000)
    assert transactions(session, wallet.id)[-1] == ("charge", 30_000, 100_000, 70_000)


def test_insufficient_balance_throws_exception(session: Any, wallet: Wallet) -> None:
    with pytest.raises(InsufficientBalance) as refused:
        actions.charge(session, wallet.id, D("100000.01"))
    session.commit()
    assert refused.value.values["balance"] == 100_000
    assert len(transactions(session, wallet.id)) == 1
    assert sums(session, wallet.id) == (100_000, 100_000, 0)


def at_once(app: Flask, wallet_id: int, charge: Callable[..., Any], times: int = 5) -> list[bool]:
    """Charges of 80,000 from so many separate processes at the same moment; which succeeded."""
    meet = barrier(times)

    def work() -> bool:
        meet.wait()
        try:
            charge(db.session(), wallet_id, D(80_000))
            db.session.commit()
        except InsufficientBalance:
            db.session.rollback()
            return False
        return True

    return together(app, *[work] * times)


@pytest.mark.slow
def test_concurrent_charges_dont_overdraw(app: Flask, session: Any, wallet: Wallet) -> None:
    session.rollback()
    assert sorted(at_once(app, wallet.id, actions.charge)) == [False] * 4 + [True]
    assert sums(session, wallet.id) == (20_000, 100_000, 80_000)
    assert is_in_step(session, wallet.id)


@pytest.mark.slow
@pytest.mark.leaves_drift
def test_without_the_lock_they_would(
    app: Flask, session: Any, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant, which shows that the test above can fail."""
    everybody_has_read = barrier(5)
    unlocked = actions._HELD.with_for_update(read=True, key_share=True, skip_locked=False)
    unlocked._for_update_arg = None
    monkeypatch.setattr(actions, "_HELD", unlocked)
    inserted = actions._inserted

    def late(*given: Any) -> Any:
        everybody_has_read.wait()
        return inserted(*given)

    monkeypatch.setattr(actions, "_inserted", late)
    session.rollback()
    assert sum(at_once(app, wallet.id, actions.charge)) > 1
    assert sums(session, wallet.id)[0] < 0


@pytest.mark.leaves_drift
def test_verify_sync_detects_mismatches(
    session: Any, surgery: Any, wallet: Wallet, run_command: Command
) -> None:
    other = WalletFactory(number="WAL-2")
    session.commit()
    surgery.execute("UPDATE wallets SET balance = 150000 WHERE number = 'WAL-1'")
    looked = syncing.verify(db.engine)
    assert looked.as_dict() | {"details": None} == {
        "checked": 2, "synced": 1, "fixed": 0, "errors": [], "details": None,
    }  # fmt: skip
    [wrong] = looked.wrong
    assert (wrong.number, wrong.stored, wrong.actual) == ("WAL-1", 150_000, 100_000)
    assert (wrong.difference, wrong.status) == (50_000, "mismatch")
    assert sums(session, wallet.id)[0] == 150_000, "looking changes nothing"
    fixed = syncing.fix(db.engine).as_dict()
    assert (fixed["checked"], fixed["synced"], fixed["fixed"]) == (2, 1, 1)
    assert [detail["status"] for detail in fixed["details"]] == ["fixed", "synced"]
    assert sums(session, wallet.id)[0] == 100_000
    [correction] = session.scalars(select(Correction)).all()
    assert (correction.owner, correction.before["balance"]) == (wallet.id, "150000.00")
    assert syncing.verify(db.engine).is_clean
    assert other.balance == 0


def test_transaction_balance_before_after_values_correct(session: Any, wallet: Wallet) -> None:
    for amount in (10_000, 20_000, 5_000):
        actions.charge(session, wallet.id, D(amount))
    actions.refund(session, wallet.id, D(5_000))
    actions.adjust(session, wallet.id, D(-90_000), description="Counted anew")
    session.commit()
    assert [tuple(row[2:]) for row in transactions(session, wallet.id)] == [
        (0, 100_000), (100_000, 90_000), (90_000, 70_000), (70_000, 65_000), (65_000, 70_000), (70_000, -20_000),
    ]  # fmt: skip


def test_recharge_updates_both_tables_correctly(session: Any, wallet: Wallet) -> None:
    actions.recharge(session, wallet.id, D(50_000), reference="Receipt 9")
    session.commit()
    assert transactions(session, wallet.id)[-1] == ("recharge", 50_000, 100_000, 150_000)
    assert sums(session, wallet.id) == (150_000, 150_000, 0)


@pytest.mark.leaves_drift
def test_rebuild_all_balances_from_transactions(session: Any, surgery: Any, wallet: Wallet) -> None:
    actions.charge(session, wallet.id, D(30_000))
    session.commit()
    surgery.execute("UPDATE wallets SET balance = 1, total_recharged = 2, total_spent = 3")
    rebuilt = syncing.rebuild(db.engine).as_dict()
    assert (rebuilt["checked"], rebuilt["fixed"], rebuilt["errors"]) == (1, 1, [])
    assert sums(session, wallet.id) == (70_000, 100_000, 30_000)
    assert is_in_step(session, wallet.id)


def test_transaction_rollback_on_error(session: Any, wallet: Wallet) -> None:
    actions.charge(session, wallet.id, D(30_000))
    with pytest.raises(DBAPIError):
        session.execute(text("SELECT 1 / 0"))
    session.rollback()
    assert len(transactions(session, wallet.id)) == 1
    assert sums(session, wallet.id) == (100_000, 100_000, 0)


@pytest.mark.leaves_drift
def test_get_discrepancy_report(session: Any, surgery: Any) -> None:
    for number in range(1, 5):
        WalletFactory(number=f"WAL-{number}")
    session.commit()
    surgery.execute("UPDATE wallets SET balance = id * 100 WHERE id < 4")
    surgery.execute("UPDATE wallets SET balance = -250, total_spent = 7 WHERE id = 2")
    found = syncing.discrepancies(db.engine)
    assert [(d.number, d.difference) for d in found] == [
        ("WAL-3", 300),
        ("WAL-2", -250),
        ("WAL-1", 100),
    ]
    assert found[1].columns == {"balance": (-250, 0), "total_spent": (7, 0)}


# The command


@pytest.mark.leaves_drift
def test_the_command_reports_fixes_and_rebuilds_and_a_dry_run_writes_nothing(
    session: Any, surgery: Any, wallet: Wallet, run_command: Command
) -> None:
    clean = run_command("balance", "verify-sync")
    assert (clean.exit_code, clean.stdout.splitlines()) == (
        0, ["Checked: 1 wallets", "Synced: 1 wallets", "Fixed: 0 wallets"],
    )  # fmt: skip
    surgery.execute("UPDATE wallets SET balance = 150000")
    for words in ((), ("--dry-run",), ("--fix", "--dry-run"), ("--rebuild", "--dry-run")):
        reported = run_command("balance", "verify-sync", *words)
        [line] = [line for line in reported.stdout.splitlines() if "MISMATCH" in line]
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        assert cells == [
            str(wallet.customer_id), "WAL-1", "150,000.00", "100,000.00", "50,000.00", "balance", "MISMATCH",
        ]  # fmt: skip
        assert reported.exit_code == 1
        assert sums(session, wallet.id)[0] == 150_000
    fixed = run_command("balance", "verify-sync", "--fix")
    assert fixed.exit_code == 0, fixed.output
    assert "Fixed: 1 wallets" in fixed.stdout
    assert "MISMATCH" not in fixed.stdout
    surgery.execute("UPDATE wallets SET total_spent = 9")
    reported = run_command("balance", "verify-sync", "--rebuild", "--json")
    assert json.loads(reported.stdout)["fixed"] == 1
    assert sums(session, wallet.id) == (100_000, 100_000, 0)


@pytest.mark.leaves_drift
def test_the_command_looks_at_one_customers_wallets_or_at_one(
    session: Any, surgery: Any, wallet: Wallet, run_command: Command
) -> None:
    other = WalletFactory(number="WAL-2")
    session.commit()
    mine, theirs = wallet.customer_id, other.customer_id
    surgery.execute("UPDATE wallets SET balance = 5")
    for words, expected in (
        (("--user-id", mine), (1, ["WAL-1"])), (("--wallet-id", other.id), (1, ["WAL-2"])),
        (("--user-id", theirs, "--fix"), (0, ["WAL-2"])),
    ):  # fmt: skip
        reported = run_command("balance", "verify-sync", *map(str, words), "--json")
        details = json.loads(reported.stdout)["details"]
        assert (reported.exit_code, [d["number"] for d in details]) == expected, words
    assert sums(session, wallet.id)[0] == 5
    assert sums(session, other.id)[0] == 0
    for words in (("--user-id", "999"), ("--wallet-id", "999")):
        unknown = run_command("balance", "verify-sync", *words)
        assert unknown.exit_code == 2
        assert "no" in unknown.stderr


def test_a_merged_customer_means_whom_they_were_merged_into(
    session: Any, wallet: Wallet, run_command: Command
) -> None:
    duplicate, between = customer("D"), customer("E")
    session.commit()
    merge(session, between, duplicate)
    merge(session, wallet.customer_id, between)
    for key in (duplicate, between):
        reported = run_command("balance", "verify-sync", "--user-id", str(key))
        assert (reported.exit_code, reported.stdout.splitlines()[0]) == (0, "Checked: 1 wallets")
    assert actions.wallet_of(session, duplicate).id == wallet.id
    actions.adjust(session, wallet.id, -wallet.balance)
    actions.close(session, wallet.id, wallet.version, {"reason": "Done"})
    opened = [actions.wallet_of(session, key).id for key in (duplicate, between, duplicate)]
    session.commit()
    assert len(set(opened)) == 1
    assert session.get_one(Wallet, opened[0]).customer_id == wallet.customer_id


@pytest.mark.leaves_drift
def test_what_is_in_doubt_is_an_error_of_the_fix_and_says_why(
    session: Any, surgery: Any, wallet: Wallet, run_command: Command
) -> None:
    surgery.execute("UPDATE wallet_transactions SET amount = 1")
    reported = run_command("balance", "verify-sync", "--fix")
    assert reported.exit_code == 1
    assert "MISMATCH" in reported.stdout
    assert "An input differs from the audit trail" in reported.stderr
    surgery.execute("UPDATE wallet_transactions SET amount = 100000, balance_after = 5")
    reported = run_command("balance", "verify-sync", "--fix", "--json")
    [error] = json.loads(reported.stdout)["errors"]
    assert "do not follow" in error["error"]
    reasoned = run_command("balance", "verify-sync", "--fix", "--reason", "Looked at it")
    assert reasoned.exit_code == 0, reasoned.output
    assert is_in_step(session, wallet.id)


def test_the_nightly_fix_and_the_monthly_rebuild_are_scheduled() -> None:
    from datetime import time

    from backoffice.schedules.catalog import schedule_of
    from backoffice.schedules.rules import Daily, Monthly

    nightly, monthly = schedule_of("balance-verify-sync"), schedule_of("balance-rebuild-monthly")
    assert nightly is not None
    assert monthly is not None
    assert (nightly.rule, monthly.rule) == (Daily(time(2)), Monthly(1, time(3)))
    assert nightly.scope.__call__(None)["fix"] is True  # type: ignore[arg-type]
    assert WalletTransaction.__tablename__ in {f.table.name for f in syncing.WALLET_FIGURES}
