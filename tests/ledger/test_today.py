"""The ledger's notices on Today: whether the balance sheet is valid, and which months are still to be closed."""

from datetime import date
from typing import Any

import psycopg
import pytest

from backoffice.base.periods import Month
from backoffice.ledger.health import maintaining
from backoffice.ledger.models import Account
from backoffice.ledger.periods.actions import close
from tests.drift.books import run_of, text_of
from tests.factories.ledger import of, posted

Chart = dict[str, Account]
HOLDS = "Assets = liabilities + equity, as it is stored; difference Rp 0.00."


def today(client: Any) -> str:
    return text_of(client.get("/today").text)


@pytest.fixture
def capital(session: Any, chart: Chart) -> Chart:
    posted(of(chart["Cash"], 500), of(chart["Capital"], -500), day=(Month.current() - 2).first)
    session.commit()
    return chart


def test_a_book_without_an_entry_says_nothing_of_it(sign_in: Any, chart: Chart) -> None:
    said = today(sign_in("finance"))
    assert "liabilities" not in said
    assert "not closed" not in said


def test_the_balance_sheet_is_told_and_leads_to_its_health(sign_in: Any, capital: Chart) -> None:
    client = sign_in("finance")
    assert HOLDS in today(client)
    assert 'href="/health/balance-sheet"' in client.get("/today").text


def test_what_does_not_hold_is_told_at_once(
    sign_in: Any, capital: Chart, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE accounts SET debits = debits + 7 WHERE code = 'Cash'")
    said = today(sign_in("finance"))
    assert "Assets are not liabilities + equity: they differ by Rp 7.00." in said
    assert HOLDS not in said
    run_of("ledger.maintenance", maintaining.SCOPE)
    assert HOLDS in today(sign_in("finance"))


def test_while_a_finding_is_open_nothing_says_that_it_holds(
    sign_in: Any, capital: Chart, surgery: psycopg.Connection[Any]
) -> None:
    """Both sides are wrong by as much, so that the equation holds."""
    surgery.execute("UPDATE accounts SET debits = debits + 7 WHERE code = 'Cash'")
    surgery.execute("UPDATE accounts SET credits = credits + 7 WHERE code = 'Capital'")
    run_of("figures.verify")
    said = today(sign_in("finance"))
    assert "The balance sheet is not valid:" in said
    assert HOLDS not in said
    run_of("ledger.maintenance", maintaining.SCOPE)
    assert HOLDS in today(sign_in("finance"))


def test_months_that_are_over_and_open_are_counted_until_they_are_closed(
    sign_in: Any, session: Any, capital: Chart
) -> None:
    first, second = Month.current() - 2, Month.current() - 1
    finance = sign_in("finance")
    assert f"2 months are over and not closed, from {named(first.first)} on." in today(finance)
    assert "not closed" not in today(sign_in("viewer")), "who may not close months is not asked to"
    close(session, first, "finance")
    session.commit()
    assert f"{named(second.first)} is over and not closed." in today(finance)
    assert f'href="/ledger/periods?month={second}"' in finance.get("/today").text
    close(session, second, "finance")
    session.commit()
    assert "not closed" not in today(finance)


def named(first: date) -> str:
    return f"{first:%B %Y}"
