"""The reports of the ledger, its periods, tie-out and health: used as a person does, and in every look."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backoffice.base import periods
from backoffice.base.periods import Month
from backoffice.ledger.models import Account
from backoffice.ledger.periods.actions import close
from tests.browser.looks import LANGUAGES
from tests.drift.books import run_of
from tests.drift.whole_book import write_everything
from tests.factories.ledger import AccountFactory, accounts_of_roles, draft, of, posted

Chart = dict[str, Account]


@pytest.fixture
def chart(session: Any) -> Chart:
    """Cash in three nested accounts; loan and capital of last year, sales and rent of this year."""
    made = {
        code: AccountFactory(code=code, name=name, type=kind)
        for code, name, kind in (
            ("1000", "Cash", "asset"), ("1100", "Bank", "asset"), ("1110", "Savings", "asset"),
            ("2100", "Loan", "liability"), ("3000", "Capital", "equity"), ("4100", "Sales", "revenue"),
            ("5100", "Rent", "expense"),
        )
    }  # fmt: skip
    made["1100"].parent_id, made["1110"].parent_id = made["1000"].id, made["1100"].id
    today = periods.today()
    for debited, credited, amount, day in (
        ("1000", "3000", 5000, date(today.year - 1, 3, 1)), ("1100", "2100", 2000, date(today.year - 1, 9, 1)),
        ("1110", "4100", 700, date(today.year, 1, 2)), ("5100", "1000", 300, today),
    ):  # fmt: skip
        posted(of(made[debited], amount), of(made[credited], -amount), day=day)
    session.commit()
    return made


def test_a_balance_sheet_is_compared_followed_to_its_lines_and_taken_along(
    browse: Callable[..., Page], chart: Chart
) -> None:
    page = browse("finance")
    page.goto("/ledger/balance-sheet")
    result = page.locator("tr.report-result")
    expect(result).to_contain_text("7,400.00")
    last_year = date(periods.today().year - 1, 12, 31)
    page.fill("input[name=against]", last_year.isoformat())
    page.keyboard.press("Tab")
    expect(result).to_contain_text("+400.00")
    expect(page).to_have_url(re.compile(f"against={last_year}"))
    page.locator("#compare-menu summary").click()
    page.get_by_role("link", name="End of the month before").click()
    expect(page).to_have_url(re.compile(f"against={Month.current().previous.last}"))
    page.locator("#export-menu summary").click()
    with page.expect_download() as taken:
        page.locator("#export-menu").get_by_role("link", name="CSV", exact=True).click()
    assert "Total liabilities and equity" in taken.value.path().read_text("utf-8-sig")
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    page.get_by_role("link", name="No comparison").click()
    expect(result).to_have_text(re.compile(r"^\s*Total liabilities and equity\s*7,400\.00\s*$"))
    page.locator("tr", has_text="Savings").get_by_role("link", name="700.00").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Statement of account 1110")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_current_earnings_lead_to_the_income_statement_of_other_days(
    browse: Callable[..., Page], chart: Chart
) -> None:
    page = browse("finance")
    page.goto("/ledger/balance-sheet")
    page.locator("tr", has_text="Current earnings").get_by_role("link", name="400.00").click()
    result = page.locator("tr.report-result")
    expect(result).to_contain_text("400.00")
    page.fill("input[name=until]", (periods.today() - timedelta(days=1)).isoformat())
    page.keyboard.press("Tab")
    expect(result).to_contain_text("700.00")
    page.go_back()
    expect(result).to_contain_text("400.00")


@pytest.mark.parametrize("language", LANGUAGES)
def test_reports_and_periods_are_sound_in_every_look(
    session: Any, browse: Callable[..., Page], is_sound: Any, language: str, chart: Chart
) -> None:
    page = browse("finance", language=language)
    today = periods.today()
    year, before = f"since={today.year}-01-01", date(today.year - 1, 12, 31)
    earlier = f"against_since=2001-01-01&against_until={before}"
    for name, address in (
        ("balance-sheet", "/balance-sheet"), ("balance-sheet-compared", f"/balance-sheet?against={before}"),
        ("balance-sheet-empty", "/balance-sheet?as_of=2001-01-01"),
        ("income-statement", f"/income-statement?{year}"),
        ("income-statement-compared", f"/income-statement?{year}&{earlier}"),
        ("income-statement-empty", "/income-statement?since=2001-01-01&until=2001-12-31"), ("periods", "/periods"),
    ):  # fmt: skip
        page.goto(f"/ledger{address}")
        is_sound(page, f"ledger-{name}")
    first = Month(today.year - 1, 3)
    close(session, first, "user:1")
    draft(of(chart["1000"], 5), of(chart["3000"], -5), day=(first + 1).first)
    session.commit()
    page.goto("/ledger/periods")
    is_sound(page, "ledger-periods-closed")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tie_out_is_sound_in_every_look(
    session: Any, browse: Callable[..., Page], is_sound: Any, language: str
) -> None:
    write_everything()
    roles = accounts_of_roles()
    posted(of(roles["receivables"], 3), of(roles["cash"], -3), memo="By hand, on a control account")
    session.commit()
    page = browse("finance", language=language)
    page.goto("/ledger/tie-out")
    is_sound(page, "ledger-tie-out-waiting")
    run_of("ledger.post")
    session.rollback()
    page.goto("/ledger/tie-out")
    is_sound(page, "ledger-tie-out")


@pytest.mark.leaves_drift
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_health_of_the_balance_sheet_is_sound_in_every_look(
    session: Any,
    browse: Callable[..., Page],
    is_sound: Any,
    language: str,
    chart: Chart,
    surgery: Any,
) -> None:
    page = browse("finance", language=language)
    page.goto("/health/balance-sheet")
    is_sound(page, "health-balance-sheet")
    surgery.execute("UPDATE accounts SET debits = debits + 7 WHERE code = '1000'")
    surgery.execute("SET session_replication_role = replica")
    surgery.execute("UPDATE journal_lines SET debit = debit + 1 WHERE debit = 700")
    run_of(
        "ledger.maintenance",
        {"figures": {"accounts.sums": None, "accounts.balance": None}, "fix": True},
    )
    session.rollback()
    page.goto("/health/balance-sheet")
    expect(page.locator("#problems-heading + .table-frame tbody tr").first).to_be_visible()
    expect(page.locator("#entries-heading")).to_be_visible()
    is_sound(page, "health-balance-sheet-wrong")
    page.goto("/ledger/balance-sheet")
    expect(page.locator(".wrong-mark").first).to_be_visible()
    is_sound(page, "ledger-balance-sheet-wrong")
