"""Wrong closed months are found and never rewritten; a user accepts them, and an open day reverses the difference."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.customers.models import Customer
from backoffice.drift.facts import deciding
from backoffice.drift.facts.holding import LOCKED
from backoffice.drift.models import ACCEPTED, DriftFinding
from backoffice.figures.models import Correction
from backoffice.gas.adjusting import actions
from backoffice.gas.models import AcceptedMonth, Deposit, MonthlyCustomerBalance
from backoffice.runs.models import SKIPPED, RunItem
from tests.customers.desk import fields_of
from tests.drift.books import run_of
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory

pytestmark = pytest.mark.slow
D = Decimal


@pytest.fixture
def customer(session: Any, run_command: Any) -> int:
    """With 1,000 paid in and 100 drawn in each of December to March; December to February are locked."""
    price = GasPriceFactory(
        price_per_sm3=D(1), correction_factor=D(1), effective_from=date(2025, 12, 1)
    )
    for year, month in ((2025, 12), (2026, 1), (2026, 2), (2026, 3)):
        DepositFactory(customer=price.customer, deposited_on=date(year, month, 1), amount=D(1000))
        ReadingFactory(customer=price.customer, read_on=date(year, month, 5), metered_volume=D(100))
    session.commit()
    lock(run_command)
    return price.customer_id


def lock(run_command: Any, *, until: str = "2026-02-28") -> None:
    done = run_command("balance", "lock", "--until", until, "--reason", "Reported")
    assert done.exit_code == 0, done.output


def months(session: Any) -> dict[str, tuple[int, ...]]:
    """Month → opening, deposits, purchases, closing as stored."""
    session.rollback()
    session.expire_all()
    m = MonthlyCustomerBalance
    rows = session.execute(
        select(
            m.year_month, m.opening_balance, m.total_deposits, m.total_purchases, m.closing_balance
        )
    )
    return {name: tuple(map(int, rest)) for name, *rest in rows}


RIGHT = {
    "2025-12": (0, 1000, 100, 900),
    "2026-01": (900, 1000, 100, 1800),
    "2026-02": (1800, 1000, 100, 2700),
    "2026-03": (2700, 1000, 100, 3600),
}
TAMPERED = RIGHT | {"2026-01": (900, 1000, 100, 1850), "2026-02": (1850, 1000, 100, 2750)}
SURGERY = (
    "UPDATE monthly_customer_balances SET closing_balance = 1850 WHERE year_month = '2026-01'",
    "UPDATE monthly_customer_balances SET opening_balance = 1850, closing_balance = 2750 WHERE year_month = '2026-02'",
)


def operate(surgery: Any, *statements: str) -> None:
    for statement in statements:
        surgery.execute(statement)


def open_findings(session: Any) -> set[tuple[str, str]]:
    session.rollback()
    rows = session.scalars(select(DriftFinding).where(DriftFinding.healed_at.is_(None)))
    return {(f.figure.partition(".")[0], f.key.get("year_month", "")) for f in rows}


def accept(browser: Any, code: str) -> Any:
    """Press the button of the page."""
    at = f"/gas/customers/{code}/adjustment"
    return browser.post(at, data=fields_of(browser.get(at).text, at))


WAYS = {
    "heal": lambda run: run("figures", "heal", "--reason", "x"),
    "rebuild": lambda run: run("figures", "rebuild", "--reason", "x"),
    "sync": lambda run: run("balance", "sync-realtime", "--all", "--reason", "x"),
    "sync by force": lambda run: run("balance", "sync-realtime", "--all", "--force", "--reason", "x"),
    "initialize": lambda run: run("balance", "initialize-realtime", "--all"),
    "the night's": lambda _run: run_of("figures.verify", {"fix": True}),
    "the watch": lambda run: run("figures", "heal", "--noted"),
}  # fmt: skip


@pytest.mark.leaves_drift
@pytest.mark.parametrize("way", WAYS)
def test_no_heal_writes_a_closed_month(
    way: str, session: Any, customer: int, surgery: Any, app_connection: Any, run_command: Any
) -> None:
    operate(surgery, *SURGERY)
    run_of("figures.verify")
    wrong = {("monthly_customer_balances", "2026-01"), ("monthly_customer_balances", "2026-02")}
    assert open_findings(session) == wrong
    if way == "the watch":
        app_connection.execute("UPDATE readings SET version = 7 WHERE read_on = '2026-03-05'")
    done = WAYS[way](run_command)
    assert months(session) == TAMPERED
    assert session.scalars(select(Correction)).all() == []
    assert open_findings(session) == wrong
    if way != "the watch":
        session.rollback()
        assert set(session.scalars(select(RunItem.error).where(RunItem.outcome == SKIPPED))) == {
            LOCKED
        }
    if hasattr(done, "exit_code") and way != "the watch":
        assert done.exit_code == 1, done.output
        assert "closed month, which nothing rewrites" in done.output + done.stderr
    assert run_command("figures", "verify").exit_code == 1


@pytest.mark.leaves_drift
def test_a_dry_run_says_that_it_is_left_alone(
    session: Any, customer: int, surgery: Any, run_command: Any
) -> None:
    operate(surgery, *SURGERY)
    done = run_command("figures", "heal", "--dry-run", "--json", "--reason", "x")
    assert done.exit_code == 1
    assert set(session.scalars(select(RunItem.error))) == {LOCKED}


@pytest.mark.leaves_drift
def test_a_save_continues_from_a_tampered_closed_month_and_verification_names_all(
    session: Any, customer: int, surgery: Any, run_command: Any
) -> None:
    operate(surgery, *SURGERY)
    DepositFactory(
        customer=session.get_one(Customer, customer), deposited_on=date(2026, 3, 9), amount=D(7)
    )
    session.commit()
    assert months(session) == TAMPERED | {"2026-03": (2750, 1007, 100, 3657)}
    assert run_command("figures", "verify").exit_code == 1
    wrong = {("monthly_customer_balances", f"2026-{month}") for month in ("01", "02", "03")}
    assert open_findings(session) >= wrong


@pytest.mark.leaves_drift
def test_what_stands_behind_a_closed_month_is_left_too(
    session: Any, customer: int, surgery: Any, run_command: Any
) -> None:
    operate(
        surgery, "UPDATE transaction_calculations SET total_price = 5 WHERE year_month < '2026-04'"
    )
    done = run_command("figures", "heal", "--reason", "x", "--json")
    assert done.exit_code == 1
    assert {f["error"] for f in json.loads(done.stdout)["failures"]} == {LOCKED}
    assert months(session) == RIGHT


def test_an_accepted_month_is_a_fact_and_an_open_day_takes_it_back(
    session: Any, customer: int, surgery: Any, sign_in: Any, run_command: Any
) -> None:
    operate(
        surgery,
        *SURGERY,
        "UPDATE transaction_calculations SET total_price = 5 WHERE year_month = '2026-01'",
    )
    run_of("figures.verify")
    code = session.get_one(Customer, customer).code
    browser = sign_in("admin")
    for page in (
        f"/gas/customers/{code}/statement",
        f"/customers/{code}",
        f"/gas/customers/{code}/months/2026-01",
    ):
        assert f"/gas/customers/{code}/adjustment" in browser.get(page).text, page
    assert "A closed month of gas of 1 customer is stored otherwise" in browser.get("/today").text
    assert "1,850.00" in browser.get(f"/gas/customers/{code}/adjustment").text
    proposed = actions.proposal_of(session, customer)
    assert proposed is not None
    assert (proposed.amount, proposed.day) == (D(-50), date(2026, 3, 1))
    stale = {"idempotency_key": "k", "shown": "x"}
    assert browser.post(f"/gas/customers/{code}/adjustment", data=stale).status_code == 409
    assert accept(browser, code).status_code == 303
    accepted = TAMPERED | {"2026-03": (2750, 950, 100, 3600)}
    assert months(session) == accepted
    [deposit] = session.scalars(select(Deposit).where(Deposit.amount < 0))
    assert (deposit.deposited_on, deposit.note) == (date(2026, 3, 1), "2026-01–2026-02: 50.00")
    run_of("figures.verify")
    assert open_findings(session) == set()
    assert actions.proposal_of(session, customer) is None
    assert run_command("figures", "verify").exit_code == 0
    assert run_command("figures", "rebuild", "--reason", "x").exit_code == 0
    assert months(session) == accepted
    assert "Nothing to adjust" in browser.get(f"/gas/customers/{code}/adjustment").text
    row = session.get_one(Customer, customer)
    for is_stored in (False, True):
        row.use_realtime_calculation = is_stored
        session.commit()
    assert months(session) == accepted
    lock(run_command, until="2025-11-30")
    assert run_command("figures", "verify").exit_code == 0
    session.delete(session.get_one(Deposit, deposit.id))
    session.commit()
    assert months(session) == RIGHT
    assert session.scalars(select(AcceptedMonth)).all() == []


def test_a_month_whose_own_balance_alone_was_changed_is_accepted_without_a_deposit(
    session: Any, customer: int, surgery: Any, sign_in: Any
) -> None:
    operate(
        surgery, SURGERY[0], "DELETE FROM monthly_customer_balances WHERE year_month = '2025-12'"
    )
    run_of("figures.heal", reason="x")
    operate(
        surgery,
        "INSERT INTO monthly_customer_balances (customer_id, year_month, opening_balance, total_deposits,"
        " total_purchases, closing_balance, total_volume_sm3, calculation_details)"
        f" VALUES ({customer}, '2025-07', 3, 4, 0, 7, 0, '{{}}')",
    )
    code = session.get_one(Customer, customer).code
    session.rollback()
    assert accept(sign_in("finance"), code).status_code == 303
    assert session.scalars(select(Deposit).where(Deposit.amount < 0)).all() == []
    run_of("figures.verify", {"fix": True})
    assert open_findings(session) == set()
    assert months(session)["2026-01"] == (900, 1000, 100, 1850)
    assert months(session)["2026-03"] == RIGHT["2026-03"]


def test_facts_that_a_user_accepted_reach_a_closed_month_only_by_an_adjustment(
    session: Any, customer: int, surgery: Any, sign_in: Any
) -> None:
    """The month stays as reported, though its readings were changed past the app."""
    operate(surgery, "UPDATE readings SET metered_volume = 300 WHERE read_on = '2026-01-05'")
    proposed = actions.proposal_of(session, customer)
    assert proposed is not None
    assert proposed.amount == D(-200)
    code = session.get_one(Customer, customer).code
    session.rollback()
    browser = sign_in("admin")
    refused = accept(browser, code)
    assert (refused.status_code, "Decide about that input first" in refused.text) == (422, True)
    assert months(session) == RIGHT
    run_of("figures.verify")
    forged = select(DriftFinding.id).where(DriftFinding.figure == "facts:readings")
    deciding.decide(session, session.scalars(forged).one(), ACCEPTED, "So it was.")
    session.commit()
    assert accept(browser, code).status_code == 303
    assert months(session) == RIGHT | {"2026-03": (2700, 800, 100, 3400)}
    run_of("figures.verify")
    assert open_findings(session) == set()
