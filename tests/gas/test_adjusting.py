"""Accepting differences of closed months: once or again, revoked, and without effect on anything else."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.base import periods
from backoffice.customers.models import Customer
from backoffice.figures.models import Correction
from backoffice.gas.adjusting import actions
from backoffice.gas.models import Deposit, GasPrice, MonthlyCustomerBalance
from backoffice.web.formats import day_filter
from tests.customers.desk import fields_of
from tests.drift.books import run_of
from tests.factories.ledger import accounts_of_roles
from tests.gas.test_closed_months import (
    SURGERY,
    TAMPERED,
    accept,
    customer,
    lock,
    months,
    open_findings,
    operate,
)

__all__ = ("customer",)
pytestmark = [pytest.mark.slow, pytest.mark.leaves_drift]

AGAIN = (
    "UPDATE monthly_customer_balances SET closing_balance = 1855 WHERE year_month = '2026-01'",
    "UPDATE monthly_customer_balances SET opening_balance = 1855, closing_balance = 2755 WHERE year_month = '2026-02'",
)


@pytest.fixture
def code(session: Any, customer: int) -> str:
    code: str = session.get_one(Customer, customer).code
    session.rollback()
    return code


def taken_back(session: Any) -> list[Deposit]:
    return list(session.scalars(select(Deposit).where(Deposit.amount < 0).order_by(Deposit.id)))


def test_no_day_is_locked_while_a_change_of_it_waits_to_be_counted(
    session: Any, customer: int, app_connection: Any, run_command: Any
) -> None:
    app_connection.execute("UPDATE deposits SET amount = 1500 WHERE deposited_on = '2026-03-01'")
    app_connection.commit()
    refused = run_command("balance", "lock", "--until", "2026-03-31", "--reason", "Reported")
    assert (refused.exit_code, "not counted yet" in refused.stderr) == (2, True)
    assert run_command("figures", "heal", "--noted").exit_code == 0
    lock(run_command, until="2026-03-31")
    assert months(session)["2026-03"] == (2700, 1500, 100, 4100)


def test_no_month_is_closed_while_a_change_of_it_waits_to_be_counted(
    session: Any, customer: int, app_connection: Any, run_command: Any
) -> None:
    accounts_of_roles()
    session.commit()
    app_connection.execute("UPDATE deposits SET amount = 1500 WHERE deposited_on = '2026-03-01'")
    app_connection.commit()
    run_command("ledger", "reconcile")
    refused = run_command("ledger", "close-period", "2026-03")
    assert (refused.exit_code, "not counted yet" in refused.output) == (1, True)
    assert run_command("figures", "heal", "--noted").exit_code == 0
    assert months(session)["2026-03"] == (2700, 1500, 100, 4100)


@pytest.mark.parametrize("which", [0, 1])
def test_of_a_month_accepted_twice_each_is_taken_back_by_itself(
    which: int, session: Any, code: str, surgery: Any, sign_in: Any
) -> None:
    browser = sign_in("admin")
    for surgeries in (SURGERY, AGAIN):
        operate(surgery, *surgeries)
        assert accept(browser, code).status_code == 303
    deposits = taken_back(session)
    assert [int(deposit.amount) for deposit in deposits] == [-50, -5]
    session.delete(deposits[which])
    session.commit()
    assert months(session)["2026-03"][-1] == 3600
    run_of("figures.verify")
    assert ("monthly_customer_balances", "2026-01") in open_findings(session)
    assert accept(browser, code).status_code == 303
    assert [int(one.amount) for one in taken_back(session)][-1] == (-50, -5)[which]
    assert months(session)["2026-03"][-1] == 3600
    run_of("figures.verify")
    assert open_findings(session) == set()


def test_the_deposit_that_takes_it_back_is_not_edited_by_anybody(
    session: Any, code: str, surgery: Any, sign_in: Any, owner_connection: Any
) -> None:
    browser = sign_in("admin")
    operate(surgery, *SURGERY)
    assert accept(browser, code).status_code == 303
    deposit = taken_back(session)[0].id
    session.rollback()
    at = f"/gas/deposits/{deposit}/edit"
    refused = browser.post(at, data=fields_of(browser.get(at).text, at) | {"amount": "-1"})
    assert (refused.status_code, "takes back what was accepted" in refused.text) == (409, True)
    for change in ("amount = -1", "deposited_on = deposited_on + 1"):
        with pytest.raises(Exception, match="takes back what was accepted"):
            owner_connection.execute(f"UPDATE deposits SET {change} WHERE id = {deposit}")
    assert months(session)["2026-03"][-1] == 3600


def test_an_adjustment_of_a_day_that_is_still_to_come_is_refused_until_then(
    session: Any,
    code: str,
    customer: int,
    surgery: Any,
    sign_in: Any,
    run_command: Any,
    monkeypatch: Any,
) -> None:
    browser, today, at = sign_in("finance"), periods.today(), f"/gas/customers/{code}/adjustment"
    march = "opening_balance = 2750, closing_balance = 3650 WHERE year_month = '2026-03'"
    operate(surgery, *SURGERY, f"UPDATE monthly_customer_balances SET {march}")
    tampered = months(session)
    shown = browser.get(at).text
    lock(run_command, until=today.isoformat())
    proposed = actions.proposal_of(session, customer)
    assert proposed is not None
    page = browser.get(at)
    assert (page.status_code, "Accept the adjustment</button>" in page.text) == (200, False)
    answer = browser.post(at, data={**fields_of(shown, at), "shown": proposed.digest})
    said = f"The first open day, {day_filter(today + timedelta(1))}, is still to come"
    assert (answer.status_code, said in answer.text, said in page.text) == (409, True, True)
    assert (taken_back(session), months(session)) == ([], tampered)
    session.rollback()
    monkeypatch.setattr(actions, "is_to_come", lambda _day: False)
    assert accept(browser, code).status_code == 303
    assert [deposit.deposited_on for deposit in taken_back(session)] == [today + timedelta(1)]


def test_a_customer_is_not_switched_off_while_a_closed_month_is_wrong(
    session: Any, code: str, surgery: Any, sign_in: Any
) -> None:
    browser = sign_in("finance")
    operate(surgery, *SURGERY)
    page, at = f"/gas/customers/{code}/statement", f"/gas/customers/{code}/realtime/off"
    answer = browser.post(at, data=fields_of(browser.get(page).text, at))
    assert "Accept the adjustment that is proposed" in answer.text + browser.get(page).text
    assert months(session) == TAMPERED


def test_what_is_corrected_besides_is_said_before(
    session: Any, code: str, customer: int, surgery: Any, sign_in: Any
) -> None:
    operate(surgery, *SURGERY)
    shown = actions.proposal_of(session, customer)
    assert shown is not None
    session.rollback()
    operate(
        surgery,
        "UPDATE transaction_calculations SET total_price = 5 WHERE year_month = '2026-03'",
    )
    with pytest.raises(actions.ProposalChanged):
        actions.accept(session, customer, shown.digest)
    session.rollback()
    browser = sign_in("finance")
    page = browser.get(f"/gas/customers/{code}/adjustment").text
    assert "which is of open days or missing" in page
    assert accept(browser, code).status_code == 303
    assert [c.figure for c in session.scalars(select(Correction))] == [
        "transaction_calculations.total_price"
    ]


def test_an_accepted_month_that_is_open_again_says_that_it_is_incomplete(
    session: Any, code: str, surgery: Any, sign_in: Any, run_command: Any
) -> None:
    operate(surgery, *SURGERY)
    assert accept(sign_in("finance"), code).status_code == 303
    lock(run_command, until="2025-11-30")
    for row in session.scalars(select(GasPrice)):
        row.effective_from = date(2026, 2, 1)
    session.commit()
    m = MonthlyCustomerBalance
    found = session.execute(select(m.year_month, m.calculation_details["unpriced"].as_integer()))
    assert dict(found.all())["2026-01"] == 1


def test_a_surplus_month_stands_upon_one_that_is_missing(
    session: Any, code: str, customer: int, surgery: Any, sign_in: Any
) -> None:
    operate(
        surgery,
        "UPDATE deposits SET deposited_on = '2025-12-02' WHERE deposited_on = '2026-01-01'",
        "UPDATE readings SET read_on = '2025-12-06' WHERE read_on = '2026-01-05'",
        "DELETE FROM monthly_customer_balances WHERE year_month = '2025-12'",
    )
    proposed = actions.proposal_of(session, customer)
    assert proposed is not None
    surplus = next(month for month in proposed.months if str(month.month) == "2026-01")
    assert (surplus.facts["opening_balance"], surplus.facts["closing_balance"]) == (1800, 1800)
