"""The book as files: exported and imported into an empty one it is the same; beancount comes to the same balances."""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from backoffice.ledger.models import Account, JournalEntry
from backoffice.ledger.posting.tie_out import tie_out
from backoffice.ledger.reports.beancount import code_of, name_of
from backoffice.ledger.rules import CASH, RETAINED_EARNINGS, TYPES, is_code
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, MeterFactory
from tests.factories.gas import DepositFactory
from tests.factories.ledger import AccountFactory, accounts_of_roles, draft, of, posted

from .books import balances, found_by_beancount, prove_by_beancount, trial_balance

ACCOUNT = re.compile(r"(Assets|Liabilities|Equity|Income|Expenses)(:[A-Z0-9][A-Za-z0-9-]*)+")
"""What beancount can name, by its own grammar."""


@pytest.fixture
def book(session: Any) -> dict[str, Account]:
    """Accounts of any shape, beneath each other, with entries in two years, one of them back-dated; and a draft."""
    codes = {
        "1100": "asset", "Assets:US": "asset", "Assets:US:Bank:Checking": "asset", "Assets:Code-1100": "asset",
        "loan 7.5&b": "liability", "Income:Sales": "revenue", "Expenses:rent": "expense", "-".join("3a"): "equity",
    }  # fmt: skip
    made = {
        code: AccountFactory(code=code, type=kind, name=f'"{code}" \\ =1+1')
        for code, kind in codes.items()
    }
    made["Assets:US:Bank:Checking"].parent_id = made["Assets:US"].id
    made["1100"].role, made["3-a"].role = CASH, RETAINED_EARNINGS
    session.flush()
    for day, debited, credited, amount in (
        (date(2026, 2, 1), "1100", "3-a", "1000.10"),
        (date(2025, 12, 31), "Assets:US:Bank:Checking", "loan 7.5&b", "77"),
        (date(2026, 2, 1), "Expenses:rent", "1100", "0.01"),
        (date(2026, 3, 1), "Assets:Code-1100", "Income:Sales", "5.5"),
    ):  # fmt: skip
        amount_ = Decimal(amount)
        lines = of(made[debited], amount_, "=Line"), of(made[credited], -amount_)
        posted(*lines, day=day, memo=f'Of "{debited}" \\', source="A voucher")
    draft(of(made["1100"], 9), of(made["3-a"], -9))
    session.commit()
    return made


def exported(run_command: Any, what: str, folder: Path) -> Path:
    path = folder / f"{what}.csv"
    result = run_command("ledger", "export", what, "--output", str(path))
    assert result.exit_code == 0, result.output
    return path


def emptied(session: Any, surgery: Any) -> None:
    session.rollback()
    surgery.execute("TRUNCATE journal_entries, journal_lines, accounts RESTART IDENTITY CASCADE")


@pytest.mark.leaves_drift
def test_what_is_exported_makes_the_same_book_when_it_is_imported(
    session: Any, book: Any, surgery: Any, run_command: Callable[..., Any], tmp_path: Path
) -> None:
    days = [date(2025, 12, 31), date(2026, 2, 1), date(2026, 12, 31)]
    before = [trial_balance(session, day) for day in days]
    files = {what: exported(run_command, what, tmp_path) for what in ("accounts", "journal")}
    said = {what: file.read_bytes() for what, file in files.items()}
    session.rollback()
    surgery.execute("SET session_replication_role = replica")
    emptied(session, surgery)
    surgery.execute("SET session_replication_role = origin")
    for what, file in files.items():
        result = run_command("import", what, str(file))
        assert result.exit_code == 0, result.output
    session.rollback()
    assert [trial_balance(session, day) for day in days] == before
    used = select(Account.code, Account.role).where(Account.role != "")
    assert dict(session.execute(used).all()) == {"1100": CASH, "3-a": RETAINED_EARNINGS}
    assert {what: exported(run_command, what, tmp_path).read_bytes() for what in files} == said
    assert session.scalar(text("SELECT count(*) FROM journal_entries WHERE status = 'draft'")) == 0
    session.rollback()


def test_a_journal_that_comes_back_to_its_own_book_is_unchanged(
    session: Any, book: dict[str, Account], run_command: Callable[..., Any], tmp_path: Path
) -> None:
    one, other = book["1100"], book["3-a"]
    texts = ("=1+1", "'=1+1", "+62 812", "-", "@x", "'tis", 'a; b, "c"', "")
    for text_ in texts:
        posted(of(one, 7, text_), of(other, -7, text_), memo=text_, source=text_)
    wrong = posted(of(one, 8), of(other, -8))
    session.commit()
    assert run_command("ledger", "reverse", wrong.number, "--memo", "=twice").exit_code == 0
    AccountFactory(code="0001", name="'=Old", is_active=False)
    other.is_active = False
    session.commit()
    events = session.scalar(text("SELECT count(*) FROM audit_events"))
    for what in ("accounts", "journal"):
        file = exported(run_command, what, tmp_path)
        result = run_command("import", what, str(file), "--json")
        report = json.loads(result.stdout)
        assert report["problems"] == []
        assert (report["created"], report["updated"], report["unchanged"]) == (0, 0, report["read"])
    session.rollback()
    assert session.scalar(text("SELECT count(*) FROM audit_events")) == events
    session.rollback()


@pytest.mark.leaves_drift
def test_a_journal_that_comes_back_to_its_book_is_still_posted_for_its_documents(
    session: Any, surgery: Any, run_command: Callable[..., Any], tmp_path: Path
) -> None:
    """Also for a deleted document, of which a second entry reverses the first."""
    accounts_of_roles()
    meter = MeterAssignmentFactory(meter=MeterFactory()).meter
    InvoiceFactory(meter=meter, units=None, rate=None, fixed_charge=0, amount=Decimal(300))
    deposit = DepositFactory()
    session.commit()
    assert run_command("ledger", "reconcile").exit_code == 0
    session.delete(deposit)
    session.commit()
    assert run_command("ledger", "reconcile").exit_code == 0
    e = JournalEntry
    entries = select(e.number, e.document, e.document_date, e.memo, e.source).order_by(e.number)
    before, held = session.execute(entries).all(), balances(session)
    assert len(before) == 3
    file = exported(run_command, "journal", tmp_path)
    session.rollback()
    surgery.execute("TRUNCATE journal_entries, journal_lines CASCADE")
    surgery.execute("UPDATE accounts SET debits = 0, credits = 0")
    surgery.execute("SET session_replication_role = origin")
    assert run_command("import", "journal", str(file)).exit_code == 0
    assert run_command("ledger", "reconcile").exit_code == 0
    session.rollback()
    assert (session.execute(entries).all(), balances(session)) == (before, held)
    assert {(one.not_posted, one.difference) for one in tie_out(session)} == {(0, 0)}
    session.rollback()


def test_beancount_proves_the_book_and_comes_to_the_same_balances(session: Any, book: Any) -> None:
    prove_by_beancount(session)


def test_the_file_asserts_what_is_stored_and_beancount_finds_a_cent_too_much(
    session: Any, book: Any, run_command: Callable[..., Any], tmp_path: Path
) -> None:
    file = exported(run_command, "beancount", tmp_path).read_text()
    last = date(2026, 3, 1) + timedelta(days=1)
    assert f"{last} balance Assets:US  77.00" in file, "with what is beneath it"
    for true, wrong, said in (
        ("balance Assets:Code-1100  1000.09", "balance Assets:Code-1100  1000.08", "Balance failed"),
        ("  Assets:Code-1100  -0.01 IDR", "  Assets:Code-1100  -0.02 IDR", "does not balance"),
    ):  # fmt: skip
        assert file.count(true) == 1
        _sums, errors = found_by_beancount(file.replace(true, wrong))
        assert any(said in error for error in errors)


def test_an_empty_book_is_a_file_too(run_command: Callable[..., Any]) -> None:
    assert run_command("ledger", "export", "beancount").stdout.startswith(
        'option "operating_currency"'
    )
    assert run_command("ledger", "export", "journal").stdout.startswith("entry_number,date,memo")


@given(
    st.text(st.sampled_from("aZ09 .:&+-_"), min_size=1, max_size=12), st.sampled_from(list(TYPES))
)
def test_every_code_has_one_name_that_leads_back_to_it(code: str, kind: str) -> None:
    for each in (code, f"Assets:{code}", f"Assets:Code-{code}"):
        if is_code(each):
            name = name_of(kind, each)
            assert ACCOUNT.fullmatch(name), name
            assert code_of(name) == each
