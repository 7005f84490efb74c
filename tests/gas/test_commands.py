"""`backoffice balance`: what each command checks and writes, and its exit status."""

import json
from datetime import date
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from backoffice.customers.models import Customer
from backoffice.figures.models import Correction
from backoffice.gas import actions
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory

from .oracle import expected, stored

Connection = psycopg.Connection[Any]


@pytest.fixture
def customers(session: Any) -> list[int]:
    """Two customers: the first has movements only in January, the second also in March."""
    prices = [GasPriceFactory(), GasPriceFactory()]
    for price, month in zip(prices, (1, 3), strict=True):
        ReadingFactory(customer=price.customer, read_on=date(2026, month, 5))
        DepositFactory(customer=price.customer, deposited_on=date(2026, 1, 2))
    session.commit()
    return [price.customer_id for price in prices]


def right(session: Any, customers: list[int]) -> None:
    """Assert that everything is right."""
    session.rollback()
    for customer in customers:
        assert stored(session, customer) == expected(session, customer)


def spoil(surgery: Connection) -> None:
    """Change every closing balance and lose the calculations of readings, past every trigger."""
    surgery.execute("UPDATE monthly_customer_balances SET closing_balance = closing_balance + 3")
    surgery.execute("DELETE FROM transaction_calculations")


def test_a_sync_corrects_what_differs_and_says_so(
    session: Any, customers: list[int], surgery: Connection, run_command: Any
) -> None:
    spoil(surgery)
    dry = run_command("balance", "sync-realtime", "--all", "--dry-run", "--json")
    assert dry.exit_code == 1
    assert stored(session, customers[0]) != expected(session, customers[0])
    done = run_command("balance", "sync-realtime", "--all", "--reason", "Checked", "--json")
    assert (done.exit_code, json.loads(done.stdout)["failures"]) == (0, [])
    right(session, customers)
    assert {c.reason for c in session.scalars(select(Correction))} == {"Checked"}
    again = run_command("balance", "sync-realtime", "--all", "--force", "--dry-run", "--json")
    assert again.exit_code == 0, again.output


def test_a_sync_is_of_one_customer_or_of_those_who_have_moved_something(
    session: Any, customers: list[int], surgery: Connection, run_command: Any
) -> None:
    first, second = customers
    spoil(surgery)
    assert (
        run_command("balance", "sync-realtime", "--all", "--from-month", "2026-02").exit_code == 0
    )
    right(session, [second])
    assert stored(session, first) != expected(session, first)
    later = ("balance", "sync-realtime", "--customer-id", str(first), "--from-month", "2026-04")
    assert run_command(*later).exit_code == 0
    assert stored(session, first) != expected(session, first)
    assert (
        run_command("balance", "sync-realtime", f"--customer_id={first}", "--force").exit_code == 0
    )
    right(session, customers)


@pytest.mark.parametrize("table", ["transaction_calculations", "monthly_customer_balances"])
def test_a_sync_from_a_month_on_finds_rows_that_should_not_be_there(
    session: Any, customers: list[int], surgery: Connection, run_command: Any, table: str
) -> None:
    """Of a customer with nothing entered in that month or later."""
    month = "transaction_date = '2026-05-05', year_month" if table[0] == "t" else "year_month"
    surgery.execute(
        f"UPDATE {table} SET {month} = '2026-05' WHERE customer_id = {customers[0]}".encode()
    )
    asked = ("balance", "sync-realtime", "--all", "--from-month", "2026-05", "--force")
    assert run_command(*asked).exit_code == 0
    right(session, customers)
    assert "Nothing is entered or stored" in run_command(*asked).stdout


def test_who_is_initialized_is_calculated_from_then_on(
    session: Any, customers: list[int], run_command: Any
) -> None:
    actions.switch(session, customers[0], is_stored=False)
    session.commit()
    one = ("balance", "initialize-realtime", f"--customer-id={customers[0]}")
    dry = run_command(*one, "--dry-run", "--json")
    assert (dry.exit_code, json.loads(dry.stdout)) == (
        1, {"transaction_calculations": 1, "monthly_customer_balances": 1},
    )  # fmt: skip
    assert run_command("balance", "initialize-realtime", "--all").exit_code == 0
    assert stored(session, customers[0]) == ({}, {}), "who was switched off stays so"
    session.rollback()
    sync = ("balance", "sync-realtime", f"--customer-id={customers[0]}")
    assert "is switched off: nothing is stored" in run_command(*sync).stdout
    assert json.loads(run_command(*sync, "--json").stdout)["failures"] == []
    done = run_command(*one, "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, json.loads(dry.stdout))
    assert "is switched off" not in run_command(*sync).output
    session.rollback()
    session.expire_all()
    assert session.get_one(Customer, customers[0]).use_realtime_calculation
    right(session, customers)


def test_rows_are_counted(customers: list[int], run_command: Any) -> None:
    reported = run_command("balance", "counts", "--json")
    assert json.loads(reported.stdout) == {
        "readings": 2, "gas_prices": 2, "deposits": 2, "transaction_calculations": 2,
        "monthly_customer_balances": 3,
    }  # fmt: skip
    assert "readings: 2" in run_command("balance", "counts").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sync-realtime",), "Say which customers"),
        (("initialize-realtime", "--dry-run"), "Say which customers"),
        (("sync-realtime", "--customer-id", "99"), "There is no customer with the id 99."),
        (("sync-realtime", "--all", "--from-month", "2026-13"), "is not a month"),
        (("sync-realtime", "--all", "--customer-id", "1"), "do not go together"),
    ],
)
def test_what_cannot_be_asked_is_said_and_ends_with_2(
    session: Any, run_command: Any, arguments: tuple[str, ...], sentence: str
) -> None:
    reported = run_command("balance", *arguments)
    assert reported.exit_code == 2
    assert sentence in reported.stderr
