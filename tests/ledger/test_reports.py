"""The balance sheet and the income statement as people and programs read them."""

import csv
import io
import json
import re
from datetime import date
from html import unescape
from typing import Any

import pytest
from sqlalchemy import text

from backoffice.ledger.models import Account
from tests.drift.books import run_of
from tests.factories.ledger import of, posted
from tests.files_for_people import lines_for_people
from tests.orders.pages import text_of

Chart = dict[str, Account]


@pytest.fixture
def book(session: Any, chart: Chart) -> Chart:
    """Capital of 2025, a sale and rent of 2026."""
    for day, debited, credited, amount in (
        (date(2025, 6, 1), "Cash", "Capital", 1000), (date(2026, 1, 15), "Cash", "Sales", 300),
        (date(2026, 2, 15), "Rent", "Cash", 120),
    ):  # fmt: skip
        posted(of(chart[debited], amount), of(chart[credited], -amount), day=day)
    session.commit()
    return chart


def rows_of(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))


def test_every_number_leads_to_the_lines_that_it_adds_up(book: Chart, sign_in: Any) -> None:
    browser = sign_in("viewer")
    page = browser.get("/ledger/balance-sheet?as_of=2026-01-31&against=2025-12-31").text
    said = text_of(page)
    assert "Total assets 1,300.00 1,000.00 +300.00" in said
    assert "Current earnings 300.00 0.00 +300.00" in said
    assert "Total liabilities and equity 1,300.00 1,000.00 +300.00" in said
    links = re.findall(r'href="(/ledger/(?:accounts/\w+/statement|income-statement)\?[^"]*)"', page)
    assert len(links) == 6
    lines = text_of(browser.get("/ledger/accounts/Cash/statement?until=2026-01-31").text)
    assert "1,300.00" in lines
    income = browser.get("/ledger/income-statement?until=2026-01-31").text
    assert "Net income 300.00" in text_of(income)
    of_february = browser.get(
        "/ledger/income-statement?since=2026-02-01&until=2026-02-28&against_since=2026-01-01&against_until=2026-01-31"
    ).text
    assert "Net income −120.00 300.00 −420.00" in text_of(of_february).replace("-", "−")
    assert "since=2026-02-01&amp;until=2026-02-28" in of_february


def test_files_hold_what_the_page_shows(book: Chart, sign_in: Any) -> None:
    browser = sign_in("viewer")
    asked = "as_of=2026-03-01&against=2026-01-31"
    rows = rows_of(browser.get(f"/ledger/balance-sheet/export.csv?{asked}"))
    assert rows[0][-1] == "Difference"
    amounts = {row[3]: row[4:7] for row in rows[1:] if len(row) == 7}
    assert amounts["Total assets"] == ["1180.00", "1300.00", "-120.00"]
    assert amounts["Current earnings"] == ["180.00", "300.00", "-120.00"]
    assert amounts["Total liabilities and equity"] == amounts["Total assets"]
    income = rows_of(
        browser.get("/ledger/income-statement/export.csv?since=2026-01-01&until=2026-12-31")
    )
    assert ["", "0", "", "Net income", "180.00"] in income
    for report in ("balance-sheet", "income-statement"):
        for flavour in ("csv-id", "xlsx"):
            assert browser.get(f"/ledger/{report}/export.{flavour}").status_code == 200
        assert sign_in("account_manager").get(f"/ledger/{report}").status_code == 403


@pytest.mark.parametrize(
    "asked",
    [
        "as_of=2026-02-30&against=never", "as_of=0001-01-01&against=9999-12-31", "since=2026-03-01&until=2026-02-01",
        "since=2026-03-01", "against_since=2026-01-01", "until=1900-01-01&since=1900-01-01", "as_of=1900-01-01",
    ],
)  # fmt: skip
def test_days_that_make_no_sense_are_left_out(book: Chart, sign_in: Any, asked: str) -> None:
    browser = sign_in("viewer")
    for report in ("balance-sheet", "income-statement"):
        assert browser.get(f"/ledger/{report}?{asked}").status_code == 200
        assert browser.get(f"/ledger/{report}/export.csv?{asked}").status_code == 200


def test_nothing_posted_is_said_so(session: Any, chart: Chart, sign_in: Any) -> None:
    browser = sign_in("viewer")
    assert "Nothing is posted yet" in text_of(browser.get("/ledger/balance-sheet").text)
    assert "Nothing was earned or spent" in text_of(browser.get("/ledger/income-statement").text)


@pytest.mark.leaves_drift
def test_what_is_known_to_be_wrong_is_marked_and_a_sheet_that_does_not_balance_says_so(
    session: Any, book: Chart, sign_in: Any, surgery: Any
) -> None:
    browser = sign_in("viewer")
    assert "wrong-mark" not in browser.get("/ledger/balance-sheet").text
    surgery.execute("UPDATE accounts SET debits = debits + 7 WHERE code = 'Cash'")
    session.rollback()
    page = browser.get("/ledger/balance-sheet?as_of=2026-03-01").text
    assert "assets differ from liabilities and equity by" in page
    run_of("figures.verify")
    session.rollback()
    page = browser.get("/ledger/balance-sheet?as_of=2026-03-01").text
    cash = page[page.index(">Cash<") :]
    assert "wrong-mark" in cash[: cash.index("</tr>")]
    assert "wrong-mark" in browser.get("/ledger/trial-balance?as_of=2026-03-01").text
    rows = lines_for_people(browser, "/ledger/balance-sheet/export.csv")
    assert any("known to be wrong" in " ".join(row) for row in rows)


def test_the_command_says_the_same(book: Chart, run_command: Any) -> None:
    reported = json.loads(
        run_command("ledger", "balance-sheet", "--date", "2026-01-31", "--json").stdout
    )
    assert reported["assets"] == {
        "total": "1300.00", "lines": [{"code": "Cash", "name": "Account Cash", "level": 0, "balance": "1300.00"}],
    }  # fmt: skip
    assert (reported["liabilities_and_equity"], reported["is_balanced"]) == ("1300.00", True)
    shown = run_command("ledger", "balance-sheet", "--date", "2025-12-31").stdout
    assert "Total liabilities and equity" in shown
    assert "1,000.00" in shown


def test_the_command_of_a_period_says_the_same(book: Chart, run_command: Any) -> None:
    asked = ("ledger", "income-statement", "--date-to", "2026-01-31", "--json")
    sales = {"code": "Sales", "name": "Account Sales", "level": 0, "balance": "300.00"}
    assert json.loads(run_command(*asked).stdout) == {
        "date_from": "2026-01-01", "date_to": "2026-01-31",
        "revenue": {"total": "300.00", "lines": [sales]}, "expenses": {"total": "0", "lines": []},
        "net_income": "300.00",
    }  # fmt: skip
    days = ("--date-from", "2026-02-01", "--date-to", "2026-02-28")
    shown = run_command("ledger", "income-statement", *days).stdout
    assert "Total revenue" in shown
    assert "-120.00" in shown.replace("−", "-")
    turned = run_command(
        "ledger", "income-statement", "--date-from", "2026-02-01", "--date-to", "2026-01-31"
    )
    assert (turned.exit_code, "ends before it begins" in turned.output) == (2, True)


@pytest.mark.parametrize("page", ["balance-sheet", "income-statement", "trial-balance"])
def test_every_report_is_printed_and_taken_along_from_its_page(
    book: Chart, sign_in: Any, page: str
) -> None:
    browser = sign_in("viewer")
    shown = browser.get(f"/ledger/{page}").text
    files = re.findall(rf'href="(/ledger/{page}/export\.([\w-]+)[^"]*)"', shown)
    assert [flavour for _href, flavour in files] == ["csv", "csv-id", "xlsx"]
    assert all(browser.get(unescape(href)).status_code == 200 for href, _flavour in files)
    way = re.search(rf'href="(/ledger/{page}\?print=1[^"]*)"', shown)
    printed = browser.get(unescape(way[1])).text if way else shown
    assert printed.count("data-print") == 1


def test_a_page_reads_no_line_of_the_journal_for_today(session: Any, book: Chart) -> None:
    """Its cost does not follow the number of lines: each account asks its index for later days alone."""
    from backoffice.ledger.queries import sums_on

    session.execute(text("SET LOCAL enable_seqscan = off"))
    query = str(
        sums_on(date(2026, 3, 1))
        .select()
        .compile(session.bind, compile_kwargs={"literal_binds": True})
    )
    plan = "\n".join(session.scalars(text(f"EXPLAIN (ANALYZE, TIMING OFF) {query}")))
    session.rollback()
    assert "ix_journal_lines_account_id_posted_on_id" in plan
    # Of the table, not of the index, which still has entries for lines that were never committed.
    [scan] = [line for line in plan.splitlines() if " on journal_lines " in line]
    assert re.search(r"actual rows=0(\.00)? ", scan), plan
