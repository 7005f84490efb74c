"""Northwind's nine account managers from 1996 to 1998, compared with an independent computation."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import psycopg
import pytest

from tests.northwind import rows

pytestmark = pytest.mark.slow

SIGN = {"package": 1, "addition": 1, "promo": -1, "reduction": -1}
CENT = Decimal("0.01")

Command = Callable[..., Any]
Achieved = dict[tuple[str, date], tuple[Decimal, int]]


@dataclass(frozen=True)
class Sale:
    """An order as read from the files alone."""

    manager: str
    closed_on: date | None
    total: Decimal


def from_the_files() -> dict[str, Sale]:
    """The sales by number; every line is rounded half up to the cent with Python's own decimals."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows("order_lines.csv"):
        amount = (Decimal(row["quantity"]) * Decimal(row["unit_price"])).quantize(
            CENT, "ROUND_HALF_UP"
        )
        totals[row["order_number"]] += SIGN[row["kind"]] * amount
    return {
        row["number"]: Sale(
            row["account_manager_email"],
            date.fromisoformat(row["closing_date"]) if row["closing_date"] else None,
            totals[row["number"]],
        )
        for row in rows("orders.csv")
    }


def achieved_by(sales: dict[str, Sale]) -> Achieved:
    """The expected figures of every manager's months."""
    sums: dict[tuple[str, date], tuple[Decimal, int]] = {}
    for sale in sales.values():
        if sale.closed_on is not None:
            key = sale.manager, sale.closed_on.replace(day=1)
            amount, count = sums.get(key, (Decimal(0), 0))
            sums[key] = amount + sale.total, count + 1
    return sums


def stored(outside: psycopg.Connection[Any]) -> Achieved:
    """The stored figures of the months, read by a program outside the app."""
    found = outside.execute(
        "SELECT u.email, t.month, t.achieved, t.orders_closed FROM account_manager_targets t "
        "JOIN users u ON u.id = t.account_manager_id"
    )
    return {(email, month): (amount, count) for email, month, amount, count in found}


def test_the_months_of_nine_managers_equal_an_independent_computation(
    northwind: None, owner_database_url: str
) -> None:
    sales = from_the_files()
    with psycopg.connect(owner_database_url, autocommit=True) as outside:
        assert stored(outside) == achieved_by(sales)
        [[managers, first, last, counted]] = outside.execute(
            "SELECT count(DISTINCT account_manager_id), min(extract(year FROM month))::int, "
            "max(extract(year FROM month))::int, sum(orders_closed)::int "
            "FROM account_manager_targets"
        )
    assert (managers, first, last) == (9, 1996, 1998)
    assert counted == 830 - 21, "21 orders without a closing date count nowhere"


def test_after_each_of_many_random_reassignments_and_new_dates_the_months_are_equal(
    northwind: None, session: Any, owner_database_url: str
) -> None:
    from backoffice.orders.models import Order
    from backoffice.people.models import User

    sales, chance = from_the_files(), Random(1996)
    managers = {u.email: u.id for u in session.query(User).where(User.role == "account_manager")}
    numbers, emails = sorted(sales), sorted(managers)
    with psycopg.connect(owner_database_url, autocommit=True) as outside:
        for _ in range(60):
            for number in chance.sample(numbers, chance.randint(1, 4)):
                order = session.query(Order).filter_by(number=number).one()
                if chance.random() < 0.5:
                    email = chance.choice(emails)
                    order.account_manager_id = managers[email]
                    sales[number] = replace(sales[number], manager=email)
                else:
                    day = order.order_date + timedelta(days=chance.randint(0, 400))
                    order.closing_date = chance.choice([None, day])
                    sales[number] = replace(sales[number], closed_on=order.closing_date)
            session.commit()
            assert stored(outside) == achieved_by(sales)


def test_what_another_program_reassigns_is_right_once_it_is_drained(
    northwind: None, run_command: Command, owner_database_url: str
) -> None:
    sales = from_the_files()
    with psycopg.connect(owner_database_url, autocommit=True) as outside:
        outside.execute(
            "UPDATE orders SET account_manager_id = (SELECT min(id) FROM users "
            "WHERE role = 'account_manager'), closing_date = '1999-09-09' WHERE id % 3 = 0"
        )
        numbers = [n for (n,) in outside.execute("SELECT number FROM orders WHERE id % 3 = 0")]
        [[email]] = outside.execute(
            "SELECT email FROM users WHERE role = 'account_manager' ORDER BY id LIMIT 1"
        )
        for number in numbers:
            sales[number] = replace(sales[number], manager=email, closed_on=date(1999, 9, 9))
        assert stored(outside) != achieved_by(sales)
        done = run_command("figures", "heal", "--noted")
        assert done.exit_code == 0, done.output
        assert stored(outside) == achieved_by(sales)
