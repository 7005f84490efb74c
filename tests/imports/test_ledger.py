"""Accounts and journal entries from files: a chart with parents, entries posted whole or not at all, nothing twice."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.imports.importing import import_files
from backoffice.imports.kinds import KINDS
from backoffice.ledger.models import Account, JournalEntry
from tests.factories.ledger import AccountFactory, draft, of
from tests.ledger.books import balances

Write = Callable[..., Path]
Import = Callable[..., dict[str, Any]]
Problems = Callable[..., list[tuple[int, str, str]]]

ACCOUNTS = "code,name,type,parent,is_active"
JOURNAL = "entry_number,date,memo,account_code,debit,credit"


@pytest.fixture
def chart(session: Session) -> None:
    for code, kind in (
        ("Assets:US:Bank:Checking", "asset"),
        ("3000", "equity"),
        ("4000", "revenue"),
    ):
        AccountFactory(code=code, type=kind)
    session.commit()


def test_a_chart_comes_in_with_parents_in_any_order_and_again_changes_nothing(
    write: Write, import_: Import, problems: Problems, session: Session
) -> None:
    chart = write(
        "a.csv", ACCOUNTS, "Assets:US:Bank:Checking,Checking,asset,Assets:US,yes", "Assets:US,United States,asset,,yes",
        "9 (old),Old,expense,,no".replace(" (old)", "-old"),
    )  # fmt: skip
    report = import_("accounts", chart)
    assert (report["created"], report["updated"], report["unchanged"]) == (3, 0, 0)
    report = import_("accounts", chart)
    assert (report["created"], report["updated"], report["unchanged"]) == (0, 0, 3)
    session.rollback()
    parents = {a.code: a.parent_id for a in session.scalars(select(Account))}
    ids = {a.code: a.id for a in session.scalars(select(Account))}
    assert parents == {
        "Assets:US:Bank:Checking": ids["Assets:US"],
        "Assets:US": None,
        "9-old": None,
    }
    assert {a.version for a in session.scalars(select(Account))} == {1}
    report = import_(
        "accounts", write("b.csv", "code,name,type", "Assets:US,USA,asset", "7,New,expense")
    )
    assert (report["created"], report["updated"]) == (1, 1)
    circle = write("c.csv", ACCOUNTS, "Assets:US,USA,asset,Assets:US:Bank:Checking,yes")
    assert [(line, column) for line, column, _said in problems("accounts", circle)] == [
        (2, "parent")
    ]
    unknown_parent = write("d.csv", ACCOUNTS, "8,Eight,asset,Nowhere,yes", "8,Eight,other,,yes")
    assert [(line, column) for line, column, _said in problems("accounts", unknown_parent)] == [
        (2, "parent"),
        (3, "type"),
    ]


def test_what_an_account_is_used_for_comes_in_and_stays_where_a_file_does_not_say(
    write: Write, import_: Import, problems: Problems, session: Session
) -> None:
    import_(
        "accounts", write("a.csv", "code,name,type,role", "1,Bank,asset,cash", "2,Loan,liability,")
    )
    import_("accounts", write("b.csv", "code,name,type", "1,The bank,asset", "2,Loan,liability"))
    session.rollback()
    rows = session.scalars(select(Account).order_by(Account.code))
    assert [(a.name, a.role) for a in rows] == [("The bank", "cash"), ("Loan", "")]
    unknown = write("c.csv", "code,name,type,role", "3,Three,asset,money")
    assert [column for _line, column, _said in problems("accounts", unknown)] == ["role"]


def test_entries_are_posted_with_all_their_lines_and_the_same_file_again_posts_nothing(
    write: Write, import_: Import, problems: Problems, session: Session, chart: None
) -> None:
    lines = (
        "J-1,2026-01-02,Capital,Assets:US:Bank:Checking,1000.50,", "J-1,2026-01-02,Capital,3000,,1000.5",
        "J-2,2026-02-03,Sale,Assets:US:Bank:Checking,20,0", "J-2,2026-02-03,Sale,4000,0,20",
    )  # fmt: skip
    report = import_("journal", write("j.csv", JOURNAL, *lines))
    assert (report["created"], report["unchanged"]) == (4, 0)
    held = {"Assets:US:Bank:Checking": Decimal("1020.50"), "3000": Decimal("1000.50"), "4000": 20}
    assert balances(session) == held
    report = import_("journal", write("j.csv", JOURNAL, *lines))
    assert (report["created"], report["unchanged"]) == (0, 4)
    assert balances(session) == held
    entries = session.scalars(select(JournalEntry).order_by(JournalEntry.number)).all()
    assert [(e.number, e.status, e.posting_number, e.memo) for e in entries] == [
        ("J-1", "posted", 1, "Capital"), ("J-2", "posted", 2, "Sale"),
    ]  # fmt: skip
    session.rollback()
    other = write(
        "k.csv", JOURNAL, lines[0].replace("1000.50", "1"), lines[1].replace("1000.5", "1")
    )
    assert "another entry J-1 already" in problems("journal", other)[0][2]
    assert balances(session) == held


@pytest.mark.parametrize(
    ("document", "day", "said"),
    [
        *((name, "2026-01-02", "no document of this book") for name in (
            "invoices/7", "invoices", "gas_purchases/1", "lost/1", f"invoices/{10**30}",
        )),
        ("gas_purchases", "", "together"), ("", "2026-01-02", "together"),
        ("gas_purchases", "2026-02-30", "no such day"),
    ],
)  # fmt: skip
def test_an_entry_names_a_document_of_this_book_with_its_day_or_none(
    write: Write, import_: Import, problems: Problems, session: Session, chart: None,
    document: str, day: str, said: str,
) -> None:  # fmt: skip
    header = f"{JOURNAL},document,document_date"
    lines = ("J-1,2026-01-02,Gas,3000,5,,{}", "J-1,2026-01-02,Gas,4000,,5,{}")
    wrong = [line.format(f"{document},{day}") for line in lines]
    found = problems("journal", write("j.csv", header, *wrong))
    assert [line for line, _column, _said in found if line in (2, 3)] == [2, 3]
    assert {column for _line, column, _said in found} <= {"document", "document_date"}
    assert all(said in sentence for _line, _column, sentence in found)
    right = [line.format("gas_purchases,2026-01-01") for line in lines]
    import_("journal", write("j.csv", header, *right))
    assert session.execute(select(JournalEntry.document, JournalEntry.document_date)).one() == (
        "gas_purchases", date(2026, 1, 1),
    )  # fmt: skip
    session.rollback()
    other = [line.format("gas_purchases,2026-01-02") for line in lines]
    assert "another entry" in problems("journal", write("j.csv", header, *other))[0][2]


@pytest.mark.parametrize(
    ("lines", "column"),
    [
        (("J-9,2026-01-02,,3000,5,", "J-9,2026-01-02,,4000,,4"), "entry_number"),
        (("J-9,2026-01-02,,3000,5,", "J-9,2026-01-03,,4000,,5"), "date"),
        (("J-9,2026-01-02,One,3000,5,", "J-9,2026-01-02,Two,4000,,5"), "memo"),
        (("J-9,2026-01-02,,3000,5,5", "J-9,2026-01-02,,4000,,"), "debit"),
        (("J-9,2026-01-02,,3000,-5,", "J-9,2026-01-02,,4000,,-5"), "debit"),
        (("J-9,2026-01-02,,3000,NaN,", "J-9,2026-01-02,,4000,,NaN"), "debit"),
        (("J-9,2026-01-02,,3000,5,", "J-9,2026-01-02,,Nowhere,,5"), "account_code"),
        (("J-9,2026-01-02,,3000,5,", "J-9,2026-01-02,,Asleep,,5"), "account_code"),
        (("D-1,2026-01-02,,3000,5,", "D-1,2026-01-02,,4000,,5"), "entry_number"),
    ],
)
def test_what_no_form_would_post_no_file_posts(
    write: Write,
    problems: Problems,
    session: Session,
    chart: None,
    lines: tuple[str, ...],
    column: str,
) -> None:
    AccountFactory(code="Asleep", is_active=False)
    accounts = {a.code: a for a in session.scalars(select(Account))}
    draft(of(accounts["3000"], 5), of(accounts["4000"], -5), number="D-1")
    session.commit()
    found = problems("journal", write("j.csv", JOURNAL, *lines))
    assert column in {name for _line, name, _said in found}
    assert balances(session) == {}


def test_an_entry_with_a_bad_line_stays_out_whole(
    write: Write, session: Session, chart: None
) -> None:
    file = write(
        "j.csv", JOURNAL, "A-1,2026-01-02,,3000,,5", "A-1,2026-01-02,,4000,5,", "B-1,2026-01-02,,3000,,7",
        "B-1,2026-01-02,,Nowhere,7,", "C-1,2026-01-02,,3000,,1",
    )  # fmt: skip
    report = import_files(session, KINDS["journal"], [file], skip_bad_lines=True)
    session.commit()
    assert report.created == 2
    assert balances(session) == {"3000": 5, "4000": -5}


def test_a_role_of_which_an_active_account_is_goes_to_no_other(
    write: Write, import_: Import, problems: Problems, session: Session
) -> None:
    head = "code,name,type,is_active,role"
    AccountFactory(code="1100", type="asset", role="cash")
    session.commit()
    another = write("a.csv", head, "1000,Till,asset,yes,cash", "1050,Old till,asset,no,cash")
    [(line, column, said)] = problems("accounts", another)
    assert (line, column) == (2, "role")
    assert "Account 1100 is used for this already" in said
    two = write(
        "b.csv",
        head,
        "4000,Sales,revenue,yes,order_revenue",
        "4001,Sales,revenue,yes,order_revenue",
    )
    assert [line for line, _column, _said in problems("accounts", two)] == [2, 3]
    moved = write("c.csv", head, "1100,Bank,asset,yes,", "1000,Till,asset,yes,cash")
    assert import_("accounts", moved)["created"] == 1
    earnings = (f"300{n},Earnings,equity,yes,retained_earnings" for n in (1, 2))
    assert import_("accounts", write("d.csv", head, *earnings))["created"] == 2


@pytest.mark.parametrize(
    ("said", "read"),
    [
        *((said, "asset") for said in ("asset_receivable", "asset_cash", "asset_current", "asset_non_current",
                                       "asset_prepayments", "asset_fixed", "Aktiva", "Asset")),
        *((said, "liability") for said in ("liability_payable", "liability_credit_card", "liability_current",
                                           "liability_non_current", "Accounts Payable")),
        ("equity", "equity"), ("equity_unaffected", "equity"), ("Income", "revenue"), ("income_other", "revenue"),
        ("revenue", "revenue"), ("expense", "expense"), ("expense_other", "expense"),
        ("expense_depreciation", "expense"), ("expense_direct_cost", "expense"),
    ],
)  # fmt: skip
def test_account_types_of_other_programs_are_understood(said: str, read: str) -> None:
    column = next(c for c in KINDS["accounts"].columns if c.name == "type")
    assert column.read(said) == read


@pytest.mark.parametrize(
    "said",
    ["other", "Income Tax Payable", "Revenue received in advance", "Income tax expense",
     "Expense claims payable", "income_tax_payable", "asset_retirement_obligation", "off_balance", "expense_payable"],
)  # fmt: skip
def test_a_type_that_no_program_has_is_refused(said: str) -> None:
    """The first word of a name in words does not say what the account is."""
    column = next(c for c in KINDS["accounts"].columns if c.name == "type")
    with pytest.raises(ValueError, match="Enter one of these: asset"):
        column.read(said)
