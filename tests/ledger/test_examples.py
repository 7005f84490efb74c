"""The textbook: what a small company does, and what its accounts hold after each step."""

from datetime import date
from typing import Any

from backoffice.ledger import actions
from backoffice.ledger.models import Account
from tests.factories.ledger import of, posted

from .books import balances, trial_balance

Chart = dict[str, Account]


def entered(session: Any, chart: Chart, day: date, **amounts: Any) -> Any:
    """Post an entry: debits above zero, credits below it, by the accounts' codes."""
    entry = posted(*(of(chart[code], amount) for code, amount in amounts.items()), day=day)
    session.commit()
    return entry


def test_the_first_year_of_a_company(session: Any, chart: Chart) -> None:
    def enter(month: int, **amounts: Any) -> Any:
        return entered(session, chart, date(2026, month, 10), **amounts)

    enter(1, Cash=10_000, Capital=-10_000)
    assert balances(session) == {"Cash": 10_000, "Capital": 10_000}, "the owner's capital"
    enter(2, Equipment=2_400, Payables=-2_400)
    enter(2, Receivables=1_000, Sales=-1_000)
    assert balances(session) == {
        "Cash": 10_000, "Capital": 10_000, "Equipment": 2_400, "Payables": 2_400, "Receivables": 1_000,
        "Sales": 1_000,
    }, "bought and sold on credit"  # fmt: skip
    enter(3, Cash=600, Receivables=-600)
    enter(3, Payables=2_400, Cash=-2_400)
    held = balances(session)
    assert (held["Cash"], held["Receivables"]) == (8_200, 400), "payments"
    assert "Payables" not in held
    enter(4, Prepaid=1_200, Cash=-1_200)
    rent = enter(5, Rent=100, Prepaid=-100)
    held = balances(session)
    assert (held["Prepaid"], held["Rent"], held["Cash"]) == (1_100, 100, 7_000), "prepaid rent"
    enter(6, Wear=200, Depreciation=-200)
    held = balances(session)
    assert (held["Wear"], held["Depreciation"]) == (200, -200), "what takes off an asset is below 0"
    enter(7, Sales=150, Cash=-150)
    assert balances(session)["Sales"] == 850, "a refund"
    reported = {"entry_date": date(2026, 8, 1), "memo": "Another month's"}
    actions.reverse(session, rent.id, reported)
    session.commit()
    held = balances(session)
    assert (held["Prepaid"], held.get("Rent")) == (1_200, None), "reversed"
    assets = sum(
        held.get(code, 0)
        for code in ("Cash", "Receivables", "Prepaid", "Equipment", "Depreciation")
    )
    assert assets == held["Capital"] + held["Sales"] - held["Wear"] == 10_650


def test_the_trial_balance_of_any_day_balances_and_knows_nothing_of_later_days(
    session: Any, chart: Chart
) -> None:
    entered(session, chart, date(2026, 1, 10), Cash=100, Capital=-100)
    entered(session, chart, date(2026, 2, 10), Rent=30, Cash=-30)
    entered(session, chart, date(2026, 1, 5), Cash=5, Sales=-5)
    reported = {
        day: {one.code: one.debit - one.credit for one in trial_balance(session, day)}
        for day in (date(2026, 1, 4), date(2026, 1, 9), date(2026, 2, 9), date(2026, 2, 10))
    }
    assert list(reported.values()) == [
        {}, {"Cash": 5, "Sales": -5}, {"Cash": 105, "Capital": -100, "Sales": -5},
        {"Cash": 75, "Rent": 30, "Capital": -100, "Sales": -5},
    ]  # fmt: skip
    assert all(sum(held.values()) == 0 for held in reported.values())
