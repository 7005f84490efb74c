"""The end of a year: what closing December transfers, what reports show after it, and what prevents it."""

import re
from datetime import date
from decimal import Decimal
from html import unescape
from typing import Any

import pytest

from backoffice.base.periods import Month
from backoffice.ledger import actions
from backoffice.ledger.models import Account, JournalEntry
from backoffice.ledger.periods.actions import close, reopen
from backoffice.ledger.refusals import ClosesYear, NotInOrder, YearEndLocked
from backoffice.ledger.reports.queries import DateRange, balance_sheet_of, income_statement_of
from backoffice.ledger.rules import RETAINED_EARNINGS
from backoffice.ledger.writing import stored_lines
from tests.factories.ledger import AccountFactory, of, posted
from tests.files_for_people import text_for_people
from tests.ledger.books import trial_balance
from tests.orders.pages import text_of

Chart = dict[str, Account]
DECEMBER = Month(2025, 12)
YEAR = DateRange(date(2025, 1, 1), DECEMBER.last)
BY = "user:1"


@pytest.fixture
def company(session: Any, chart: Chart) -> Chart:
    """A sale of 850 and rent of 100 in 2025, and an account for what is left of them."""
    chart["Kept"] = AccountFactory(code="Kept", type="equity", role=RETAINED_EARNINGS)
    for debited, credited, amount in (("Cash", "Sales", 850), ("Rent", "Cash", 100)):
        posted(of(chart[debited], amount), of(chart[credited], -amount), day=date(2025, 5, 5))
    session.commit()
    return chart


def held(session: Any, day: date = DECEMBER.last) -> dict[str, Decimal]:
    return {one.code: one.debit - one.credit for one in trial_balance(session, day)}


def test_after_a_year_retained_earnings_hold_what_was_current(
    session: Any, company: Chart, app: Any
) -> None:
    close(session, DECEMBER, BY)
    posted(of(company["Cash"], 30), of(company["Sales"], -30), day=date(2026, 1, 8))
    session.commit()
    with app.test_request_context():
        days = [date(2026, 1, 31), DECEMBER.last, date(2025, 12, 30), date(2024, 12, 31)]
        for day, kept, current in zip(days, (750, 750, 0, 0), (30, 0, 750, 0), strict=True):
            report = balance_sheet_of(session, [day])
            equity = {line.code or line.title: line.amounts[0] for line in report.sections[2].lines}
            assert (equity.get("Kept", 0), equity.get("Current earnings", 0)) == (kept, current)
            assert report.gaps == (0,)
    assert income_statement_of(session, [YEAR]).result.amounts == (750,)


def test_a_closing_entry_is_taken_back_by_reopening_its_month_alone(
    session: Any, company: Chart
) -> None:
    period = close(session, DECEMBER, BY)
    session.commit()
    entry = session.get_one(JournalEntry, period.closing_entry_id)
    with pytest.raises(ClosesYear, match="Reopen the month"):
        actions.reverse(session, entry.id, {"entry_date": date(2026, 1, 2), "memo": "By mistake"})
    session.rollback()
    reopen(session, DECEMBER, BY, "A late bill")
    session.commit()
    assert held(session)["Sales"] == -850
    assert entry.reversal is not None


def test_a_month_whose_closing_entry_was_reversed_by_hand_is_reopened_all_the_same(
    session: Any, company: Chart
) -> None:
    """Earlier versions let users do so."""
    entry_id = close(session, DECEMBER, BY).closing_entry_id
    lines = [line.turned for line in stored_lines(session, entry_id)]
    posted(*lines, day=date(2026, 1, 2), reverses_entry_id=entry_id)
    session.commit()
    assert reopen(session, DECEMBER, BY, "A late bill").status == "open"
    session.commit()
    assert held(session, date(2026, 1, 2))["Sales"] == -850


def test_what_inactive_accounts_have_earned_is_closed_too(session: Any, company: Chart) -> None:
    company["Sales"].is_active = False
    session.commit()
    close(session, DECEMBER, BY)
    session.commit()
    assert held(session) == {"Cash": 750, "Kept": -750}
    reopen(session, DECEMBER, BY, "A late bill")
    session.commit()
    assert held(session)["Sales"] == -850


@pytest.mark.parametrize("change", [{"is_active": False}, {"type": "expense"}, {"role": ""}])
def test_earnings_go_to_an_active_account_of_equity_or_the_year_stays_open(
    session: Any, company: Chart, change: dict[str, Any]
) -> None:
    for name, value in change.items():
        setattr(company["Kept"], name, value)
    session.commit()
    with pytest.raises(NotInOrder, match="none of equity is used for retained earnings"):
        close(session, DECEMBER, BY)


def test_a_number_of_a_closed_year_leads_to_the_lines_that_it_adds_up(
    session: Any, company: Chart, sign_in: Any
) -> None:
    close(session, DECEMBER, BY)
    session.commit()
    browser = sign_in("viewer")
    page = browser.get("/ledger/income-statement?since=2025-01-01&until=2025-12-31").text
    [way] = re.findall(r'href="(/ledger/accounts/Sales/statement\?[^"]*)"', page)
    lines = text_of(browser.get(unescape(way)).text)
    assert "850.00" in lines
    assert "Closing of 2025" not in lines
    everything = text_of(browser.get("/ledger/accounts/Sales/statement").text)
    assert "Closing of 2025" in everything


def test_the_first_closing_moves_what_the_years_before_have_earned(
    session: Any, company: Chart, app: Any
) -> None:
    posted(of(company["Cash"], 40), of(company["Sales"], -40), day=date(2024, 5, 5))
    posted(of(company["Cash"], 30), of(company["Sales"], -30), day=date(2026, 2, 8))
    session.commit()
    march = Month(2026, 3)
    period = close(session, march, BY)
    session.commit()
    assert session.get_one(JournalEntry, period.closing_entry_id).entry_date == DECEMBER.last
    assert (held(session)["Kept"], held(session, march.last)["Sales"]) == (-790, -30)
    assert income_statement_of(session, [YEAR]).result.amounts == (750,)
    assert close(session, march + 1, BY).closing_entry_id is None, "only the first one looks back"
    session.commit()
    for month in (march + 1, march):
        reopen(session, month, BY, "A late bill")
    session.commit()
    assert held(session)["Sales"] == -890
    assert close(session, Month(2026, 1), BY).closing_entry_id, "it is the first one again"


def test_a_year_whose_last_day_is_locked_is_neither_closed_nor_reopened_and_it_is_said_before(
    session: Any, company: Chart, sign_in: Any, surgery: Any, run_command: Any
) -> None:
    locked = "UPDATE book SET locked_until = '2025-12-31'"
    said = "are locked. Open them first: backoffice balance lock --open"
    surgery.execute(locked)
    with pytest.raises(YearEndLocked, match=said):
        close(session, DECEMBER, BY)
    session.rollback()
    finance = sign_in("finance")
    page = finance.get("/ledger/periods?month=2025-12")
    assert said in text_of(page.text)
    assert "/ledger/periods/2025-12/close" not in page.text
    assert said in run_command("ledger", "close-period", "2025-12", "--dry-run").stderr
    surgery.execute("UPDATE book SET locked_until = NULL")
    close(session, DECEMBER, BY)
    session.commit()
    surgery.execute(locked)
    at = "/ledger/periods/2025-12/reopen"
    refused = finance.post(at, data={"reason": "A late bill", "idempotency_key": "1"})
    assert (refused.status_code, said in text_of(refused.text)) == (422, True)


def test_without_a_first_day_income_is_that_of_the_year_and_current_earnings_lead_to_what_is_not_closed(
    session: Any, company: Chart, sign_in: Any
) -> None:
    posted(of(company["Cash"], 40), of(company["Sales"], -40), day=date(2024, 5, 5))
    session.commit()
    browser = sign_in("viewer")

    def current() -> str:
        sheet = browser.get("/ledger/balance-sheet?as_of=2025-12-31&against=2024-12-31").text
        [way, _then] = re.findall(r'href="(/ledger/income-statement\?[^"]*)"', sheet)
        return unescape(way)

    unclosed = text_of(browser.get(current()).text)
    assert "Income that is not closed yet" in unclosed
    assert "Net income 790.00" in unclosed
    ways = re.findall(
        r'href="(/ledger/income-statement[^"]*(?:export|against)[^"]*)"',
        browser.get(current()).text,
    )
    assert ways
    assert all("unclosed=1" in way for way in ways), "its files and comparisons are of the same"
    asked = "/ledger/income-statement?since=&until=2025-12-31"
    assert "Net income 750.00" in text_of(browser.get(asked).text)
    close(session, DECEMBER, BY)
    session.commit()
    page = browser.get(asked).text
    assert "Net income 750.00" in text_of(page)
    assert 'value="2025-01-01"' in page


def test_the_trial_balance_of_a_closed_year_is_had_before_its_closing_entry(
    session: Any, company: Chart, sign_in: Any
) -> None:
    posted(of(company["Cash"], 40), of(company["Sales"], -40), day=date(2024, 5, 5))
    session.commit()
    for month in (DECEMBER - 12).through(DECEMBER):
        close(session, month, BY)
    session.commit()
    browser = sign_in("viewer")
    at = "/ledger/trial-balance?as_of=2025-12-31"
    after = text_of(browser.get(at).text)
    assert "Closing entries included left out" in after
    assert "Sales Account Sales Revenue 0.00 0.00" in after
    page = browser.get(f"{at}&closing=without").text
    before = text_of(page)
    assert "Sales Account Sales Revenue 0.00 850.00" in before
    assert "Kept Account Kept Equity 0.00 40.00" in before, "what closed the year before stays"
    for code, total in (("Sales", "850.00"), ("Kept", "40.00")):
        linked, *_more = sorted(
            re.findall(rf'href="(/ledger/accounts/{code}/statement\?[^"]*)"', page)
        )
        listed = text_of(browser.get(linked.replace("&amp;", "&")).text)
        newest = listed.rpartition("Debit Credit Balance ")[2]
        assert re.match(rf"\d+ \w+ \d{{4}} .*?[\d.,]+ [\d.,]+ {re.escape(total)} ", newest), (
            code,
            newest,
        )
    way, *_others = sorted(re.findall(r'href="(/ledger/accounts/Sales/statement\?[^"]*)"', page))
    assert "open_year=2025" in way
    assert "Closing of 2025" not in text_of(browser.get(unescape(way)).text)
    file = text_for_people(
        browser, "/ledger/trial-balance/export.csv?as_of=2025-12-31&closing=without"
    )
    assert "Sales,Account Sales,Revenue,0,850.00" in file
    assert "Closing entries: left out" in file
