"""Charging wallets by a file: each line as if it came alone, in the order of the file, once for ever."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.base.refusals import KeyUsedOtherwise, Refusal
from backoffice.imports.importing import import_files
from backoffice.imports.kinds import KINDS
from backoffice.wallets import actions
from backoffice.wallets.models import Wallet, WalletTransaction
from tests.depth import examples
from tests.factories.wallets import WalletFactory

Write = Callable[..., Path]
Import = Callable[..., dict[str, Any]]
HEADER = "wallet_id,amount,service_type,description,idempotency_key"
COLUMN = {
    "KeyUsedOtherwise": "idempotency_key", "InsufficientBalance": "amount", "WalletClosed": "wallet_id",
    "WalletSuspended": "wallet_id",
}  # fmt: skip


@pytest.fixture
def wallet(session: Session) -> Wallet:
    """Holds 100.00."""
    made = WalletFactory(number="W-1")
    actions.recharge(session, made.id, Decimal(100))
    session.commit()
    return made


def charges(session: Session, after: int = 0) -> list[tuple[Any, ...]]:
    """What was charged, in order: wallet, amount, key, balances."""
    t = WalletTransaction
    rows = select(t.wallet_id, t.amount, t.idempotency_key, t.balance_before, t.balance_after)
    rows = rows.where(t.transaction_type == "charge", t.id > after).order_by(t.id)
    return [tuple(row) for row in session.execute(rows)]


def test_lines_take_what_is_there_when_their_turn_comes(
    write: Write, report_of: Import, session: Session, wallet: Wallet, run_command: Any
) -> None:
    file = write(
        "c.csv",
        HEADER,
        "W-1,60,vps,March,a",
        "W-1,50,vps,March,b",
        f"{wallet.id},40,,,c",
        "W-9,1,,,d",
    )
    report = report_of("wallet-charges", file)
    assert [(p["line"], p["column"]) for p in report["problems"]] == [
        (3, "amount"),
        (5, "wallet_id"),
    ]
    session.rollback()
    assert charges(session) == [], "all of it or nothing, unless the good lines are asked for"
    done = run_command(
        "import", "wallet-charges", str(file), "--skip-bad-rows", "--failed", str(file.parent / "f")
    )
    assert done.exit_code == 1
    session.rollback()
    key = wallet.id
    assert charges(session) == [(key, 60, "a", 100, 40), (key, 40, "c", 40, 0)]
    failed = (file.parent / "f").read_text().splitlines()
    assert [line.split(",")[4] for line in failed[1:]] == ["b", "d"]
    assert session.get_one(Wallet, key).balance == 0


def test_the_same_file_again_charges_nothing_twice(
    write: Write, import_: Import, session: Session, wallet: Wallet
) -> None:
    file = write("c.csv", HEADER, "W-1,60,vps,,a", "W-1,60,vps,,a", "W-1,40,,,b")
    assert import_("wallet-charges", file)["created"] == 2
    report = import_("wallet-charges", file)
    assert (report["created"], report["unchanged"]) == (0, 3)
    session.rollback()
    assert len(charges(session)) == 2


@pytest.mark.parametrize("other", [actions.recharge, actions.refund])
def test_the_key_of_a_recharge_or_refund_is_no_charge_of_its_line(
    write: Write, report_of: Import, session: Session, wallet: Wallet, other: Any
) -> None:
    """The same wallet, amount and texts: only the type of the transaction tells them apart."""
    actions.charge(session, wallet.id, Decimal(20), idempotency_key="before")
    other(session, wallet.id, Decimal(5), idempotency_key="k")
    session.commit()
    file = write("c.csv", "wallet_id,amount,idempotency_key", "W-1,5,k")
    report = report_of("wallet-charges", file)
    assert [(p["column"], p["message"]) for p in report["problems"]] == [
        ("idempotency_key", KeyUsedOtherwise.sentence)
    ]
    assert report["unchanged"] == 0
    session.rollback()
    assert [key for _wallet, _amount, key, *_balances in charges(session)] == ["before"]


def test_a_key_that_a_user_used_meanwhile_undoes_its_line(
    write: Write, session: Session, wallet: Wallet
) -> None:
    """Another user charges another wallet under a key of the file, after the lines were checked."""
    other = WalletFactory(number="W-2")
    actions.recharge(session, other.id, Decimal(5))
    session.commit()
    kind = KINDS["wallet-charges"]
    sources = [write("c.csv", HEADER, "W-1,10,,,a", "W-1,20,,,b")]

    def judged_then(stage: Any) -> Any:
        yield from kind.check(stage)
        with Session(db.engine) as another:
            actions.charge(another, other.id, Decimal(1), idempotency_key="a")
            another.commit()

    report = import_files(session, replace(kind, check=judged_then), sources, skip_bad_lines=True)
    session.commit()
    assert [problem.line for problem in report.problems] == [2]
    assert charges(session) == [(other.id, 1, "a", 5, 4), (wallet.id, 20, "b", 100, 80)]


def test_what_is_the_number_of_one_wallet_and_the_id_of_another_charges_neither(
    write: Write, report_of: Import, import_: Import, session: Session, wallet: Wallet
) -> None:
    """It is ambiguous until the file says which; what was charged before is not charged again."""
    other = WalletFactory(number=str(wallet.id))
    own = WalletFactory(number="A")
    own.number = str(own.id)
    for each in (other, own):
        actions.recharge(session, each.id, Decimal(50))
    actions.charge(session, other.id, Decimal(9), idempotency_key="before")
    session.commit()
    file = write(
        "c.csv", HEADER, f"{wallet.id},10,,,a", f"{own.id},20,,,b", f"{wallet.id},9,,,before"
    )
    report = report_of("wallet-charges", file)
    assert [(p["line"], p["column"]) for p in report["problems"]] == [(2, "wallet_id")]
    assert "names two wallets" in report["problems"][0]["message"]
    file = write("c.csv", HEADER, "W-1,10,,,a", f"{own.id},20,,,b", f"{other.id},30,,,c")
    assert import_("wallet-charges", file)["created"] == 3
    session.rollback()
    held = {each.id: each.balance for each in (wallet, other, own)}
    assert list(held.values()) == [90, 11, 30]


STATUSES = ["active", "active", "active", "suspended", "closed"]
LINES = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from([10, 20, 30, 45]), st.sampled_from(["", "vps"]), st.integers(0, 12)
    ),
    max_size=30,
)  # fmt: skip


@pytest.mark.slow
def test_a_file_does_what_its_lines_would_do_one_after_the_other(
    write: Write, session: Session
) -> None:
    books = itertools.count()

    @settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        wallets=st.lists(st.tuples(st.sampled_from(STATUSES), st.integers(0, 120)), min_size=1, max_size=4),
        before=LINES, lines=LINES,
    )  # fmt: skip
    def agrees(wallets: Any, before: Any, lines: Any) -> None:
        book = f"B{next(books)}-"
        made = [WalletFactory(number=f"{book}{number}") for number in range(len(wallets))]
        for wallet, (_status, held) in zip(made, wallets, strict=True):
            if held:
                actions.recharge(session, wallet.id, Decimal(held))
        one_by_one(session, book, before[:5])
        for wallet, (status, _held) in zip(made, wallets, strict=True):
            wallet.status = status
        session.commit()
        first = session.scalar(select(func.max(WalletTransaction.id))) or 0
        refused = one_by_one(session, book, lines)
        wanted = charges(session, first)
        session.rollback()
        file = write("c.csv", HEADER, *(f"{book}{w},{a},{s},,{book}{k}" for w, a, s, k in lines))
        report = import_files(session, KINDS["wallet-charges"], [file], skip_bad_lines=True)
        reported = [(p.line, p.column, p.message) for p in report.problems]
        assert sorted(reported) == sorted(refused)
        assert charges(session, first) == wanted
        session.commit()

    agrees()


def one_by_one(session: Session, book: str, lines: Any) -> list[tuple[int, str, str]]:
    """Each line charged alone; which of them are refused, at which column, with which sentence."""
    refused = []
    for line, (number, amount, service_type, key) in enumerate(lines, start=2):
        reported = {"service_type": service_type, "idempotency_key": f"{book}{key}"}
        wallet_id = session.scalar(select(Wallet.id).where(Wallet.number == f"{book}{number}"))
        if wallet_id is None:
            refused.append((line, "wallet_id", "There is no wallet %(value)s."))
            continue
        try:
            with session.begin_nested():
                actions.charge(session, wallet_id, Decimal(amount), **reported)
        except Refusal as refusal:
            refused.append((line, COLUMN[type(refusal).__name__], refusal.sentence))
    return refused
