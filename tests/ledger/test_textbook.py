"""The textbook of double entry, read from the balance sheet and the income statement, with worked numbers."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from backoffice.ledger.models import Account
from backoffice.ledger.reports.queries import DateRange, balance_sheet_of, income_statement_of
from backoffice.ledger.reports.sheets import Report, name_of
from tests.factories.ledger import of, posted

from .books import prove_by_beancount

Chart = dict[str, Account]


@pytest.fixture(autouse=True)
def in_english(app: Any) -> Iterator[None]:
    with app.test_request_context():
        yield


def enter(session: Any, chart: Chart, day: date, **amounts: Any) -> None:
    """Post an entry: debits above zero, credits below it, by the accounts' codes."""
    posted(*(of(chart[code], amount) for code, amount in amounts.items()), day=day)
    session.commit()


def read(report: Report) -> dict[str, Any]:
    """The amount of every line by its code or name, or its amounts where two are compared."""
    lines = [(line.code or name_of(line), line) for _type, line in report.lines]
    return {
        name: line.amounts[0] if len(line.amounts) == 1 else (*line.amounts, line.difference)
        for name, line in lines
    }


def sheet(session: Any, *days: date) -> dict[str, Any]:
    report = balance_sheet_of(session, days)
    assert report.gaps == (0,) * len(days), "assets = liabilities + equity"
    return read(report)


def test_a_year_of_a_small_company_as_a_textbook_has_it(session: Any, chart: Chart) -> None:
    def month(number: int, day: int = 10, **amounts: Any) -> date:
        entered = date(2026, number, day)
        enter(session, chart, entered, **amounts)
        return entered

    capital = month(1, Cash=10_000, Capital=-10_000)
    assert sheet(session, capital) == {
        "Cash": 10_000, "Total assets": 10_000, "Total liabilities": 0, "Capital": 10_000,
        "Total equity": 10_000, "Total liabilities and equity": 10_000,
    }, "the owner's capital"  # fmt: skip
    sale = month(2, Receivables=1_000, Sales=-1_000)
    held = sheet(session, sale)
    assert (held["Receivables"], held["Current earnings"], held["Total equity"]) == (
        1_000,
        1_000,
        11_000,
    )
    payment = month(3, Cash=600, Receivables=-600)
    held = sheet(session, payment)
    assert (held["Cash"], held["Receivables"], held["Total assets"]) == (10_600, 400, 11_000), (
        "a payment"
    )
    month(4, Prepaid=1_200, Cash=-1_200)
    month(5, Rent=100, Prepaid=-100)
    month(5, Equipment=2_400, Payables=-2_400)
    wear = month(6, Wear=200, Depreciation=-200)
    held = sheet(session, wear)
    assert (held["Prepaid"], held["Equipment"], held["Depreciation"]) == (1_100, 2_400, -200)
    assert (held["Total assets"], held["Payables"], held["Current earnings"]) == (
        13_100,
        2_400,
        700,
    )
    refund = month(7, Sales=150, Cash=-150)
    year = DateRange(date(2026, 1, 1), date(2026, 12, 31))
    assert read(income_statement_of(session, [year])) == {
        "Sales": 850, "Total revenue": 850, "Rent": 100, "Wear": 200, "Total expenses": 300, "Net income": 550,
    }  # fmt: skip
    before = sheet(session, refund)
    closing = month(12, 31, Sales=850, Rent=-100, Wear=-200, Capital=-550)
    after = sheet(session, closing)
    assert after["Total liabilities and equity"] == before["Total liabilities and equity"] == 12_950
    assert after["Capital"] == before["Capital"] + before["Current earnings"] == 10_550, "closed"
    assert "Current earnings" not in after
    prove_by_beancount(session)


def test_what_is_compared_is_what_each_day_and_period_comes_to_by_itself(
    session: Any, chart: Chart
) -> None:
    enter(session, chart, date(2025, 12, 31), Cash=500, Capital=-500)
    enter(session, chart, date(2026, 1, 1), Cash=70, Sales=-70)
    enter(session, chart, date(2026, 2, 1), Rent=20, Cash=-20)
    days = [date(2026, 2, 1), date(2026, 1, 31), date(2025, 12, 31), date(2025, 12, 30)]
    alone = [sheet(session, day) for day in days]
    assert [one.get("Cash", 0) for one in alone] == [550, 570, 500, 0]
    for now, then in pairwise(days):
        for name, (first, second, difference) in sheet(session, now, then).items():
            assert first == alone[days.index(now)].get(name, 0)
            assert second == alone[days.index(then)].get(name, 0)
            assert second + difference == first
    january, february = (DateRange(date(2026, n, 1), date(2026, n, 28)) for n in (1, 2))
    assert read(income_statement_of(session, [february, january])) == {
        "Sales": (0, 70, -70), "Total revenue": (0, 70, -70), "Rent": (20, 0, 20),
        "Total expenses": (20, 0, 20), "Net income": (-20, 70, -90),
    }  # fmt: skip


def test_accounts_stand_beneath_their_parents_which_add_them_up(session: Any, chart: Chart) -> None:
    chart["Prepaid"].parent_id = chart["Receivables"].id
    chart["Cash"].parent_id = chart["Receivables"].id
    chart["Equipment"].parent_id = chart["Prepaid"].id
    chart["Sales"].parent_id = chart["Cash"].id  # of another type: it stands at the top of its own
    session.commit()
    enter(session, chart, date(2026, 1, 1), Cash=5, Equipment=7, Sales=-12)
    report = balance_sheet_of(session, [date(2026, 1, 1)])
    lines = [
        (line.code, line.level, line.amounts[0], line.is_own) for line in report.sections[0].lines
    ]
    assert lines == [
        ("Receivables", 0, 12, False), ("Cash", 1, 5, False), ("Prepaid", 1, 7, False),
        ("Equipment", 2, 7, False),
    ]  # fmt: skip
    enter(session, chart, date(2026, 1, 2), Receivables=Decimal("0.50"), Capital=Decimal("-0.50"))
    report = balance_sheet_of(session, [date(2026, 1, 2)])
    assert [(line.code, line.amounts[0], line.is_own) for line in report.sections[0].lines][:2] == [
        ("Receivables", Decimal("12.50"), False), ("Receivables", Decimal("0.50"), True),
    ]  # fmt: skip
    assert report.sections[0].total.amounts == (Decimal("12.50"),)
