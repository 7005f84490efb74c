"""Three years of a real meter: every reading and month to the cent, and after a change only what comes later."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from backoffice.customers.models import Customer
from backoffice.gas.models import Deposit, GasPrice, MonthlyCustomerBalance, Reading
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.orders.pages import text_of

from .oracle import expected, follow, stored

D = Decimal
FILE = Path(__file__).parents[1] / "data/heat-meter/readings.csv"
PRICES = (
    (date(2018, 1, 1), "10500.1234", "1.012345"),
    (date(2018, 9, 15), "11250", "0.987654"),
    (date(2019, 7, 1), "10999.9999", "1.000001"),
    (date(2020, 2, 29), "12345.6789", "1.05"),
)


NAMES = ("opening", "deposits", "purchases", "closing", "volume")
"""The columns of a month on screen and in exports, in that order."""


def _make(session: Any) -> Customer:
    customer: Customer = CustomerFactory(code="HM-772")
    with FILE.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            ReadingFactory(
                customer=customer, read_on=date.fromisoformat(row["read_on"]),
                metered_volume=D(row["metered_volume_m3"]),
            )  # fmt: skip
    for day, price, factor in PRICES:
        GasPriceFactory(
            customer=customer, effective_from=day, price_per_sm3=D(price), correction_factor=D(factor)
        )  # fmt: skip
    for number in range(36):
        day = date(2018 + number // 12, 1 + number % 12, 5)
        DepositFactory(customer=customer, deposited_on=day, amount=D("500000.5") + number)
    session.commit()
    return customer


@pytest.fixture
def meter(session: Any, kept_book: Callable[..., None]) -> Customer:
    """The customer of the meter, with three changes of price and a deposit every month."""
    kept_book("heat meter", lambda: _make(session))
    session.rollback()
    found: Customer = session.scalars(select(Customer).where(Customer.code == "HM-772")).one()
    return found


@contextmanager
def rewritten(session: Any) -> Iterator[dict[str, list[str]]]:
    """The months and days that are written while inside, by the moment that PostgreSQL stamps on them."""
    found: dict[str, list[str]] = {}
    session.rollback()
    before = session.scalar(text("SELECT clock_timestamp()"))
    session.rollback()
    yield found
    for name, sql in {
        "months": "SELECT year_month FROM monthly_customer_balances WHERE last_calculated_at > :at ORDER BY 1",
        "days": "SELECT transaction_date::text FROM transaction_calculations WHERE calculated_at > :at ORDER BY 1",
    }.items():
        found[name] = list(session.scalars(text(sql), {"at": before}))


def right(session: Any, customer: Customer) -> int:
    """Assert that every stored row is as Python computes it; answers how many months there are."""
    session.expire_all()
    lines, months = stored(session, customer.id)
    assert (lines, months) == expected(session, customer.id)
    follow(months)
    return len(months)


def test_three_years_are_right_to_the_cent(session: Any, meter: Customer) -> None:
    lines, months = stored(session, meter.id)
    assert len(lines) == 1094
    assert right(session, meter) == 36
    assert all(month.unpriced == 0 for month in months.values())
    used = select(MonthlyCustomerBalance.calculation_details).order_by(
        MonthlyCustomerBalance.year_month
    )
    assert session.scalars(used).first() == {"readings": 29, "unpriced": 0, "deposits": 1}


def test_its_months_are_right_to_the_cent_on_screen_and_in_the_file(
    session: Any, meter: Customer, sign_in: Any
) -> None:
    _lines, months = expected(session, meter.id)
    session.rollback()
    rows = [
        [*(getattr(month, name) for name in NAMES), D(readings_of(name))]
        for name, month in months.items()
    ]
    at, browser = "/gas/customers/HM-772/statement", sign_in("viewer")
    shown = re.findall(r"(?s)<tr\b.*?</tr>", browser.get(f"{at}?sort=month").text)
    seen = [[text_of(cell) for cell in re.findall(r"(?s)<td.*?</td>", row)] for row in shown]
    cells = [[D(cell.replace(",", "")) for cell in row[1:7]] for row in seen if len(row) == 8]
    assert cells[:36] == rows
    assert [row[0] for row in seen if len(row) == 8][:36] == [
        f"{date.fromisoformat(f'{name}-01'):%B %Y}" for name in months
    ]
    file = browser.get(f"{at}.csv?sort=month").get_data(as_text=True).removeprefix("\ufeff")
    written = list(csv.reader(io.StringIO(file)))[1:37]
    assert [row[0] for row in written] == list(months)
    assert [[D(cell) for cell in row[1:7]] for row in written] == rows


def readings_of(month: str) -> int:
    """How many readings of a month the file has."""
    return sum(f",{month}-" in line for line in FILE.read_text(encoding="utf-8").splitlines())


def test_a_backdated_reading_ripples_forward_from_its_month(session: Any, meter: Customer) -> None:
    gone = session.scalars(select(Reading).where(Reading.read_on == date(2019, 11, 12))).one()
    with rewritten(session) as written:
        session.delete(session.merge(gone))
        session.commit()
    assert right(session, meter) == 36
    assert (written["months"][0], len(written["months"]), written["days"]) == ("2019-11", 14, [])
    with rewritten(session) as written:
        ReadingFactory(
            customer_id=meter.id,
            customer=meter,
            read_on=date(2019, 11, 12),
            metered_volume=D("99.999"),
        )
        session.commit()
    assert right(session, meter) == 36
    assert (written["months"][0], len(written["months"])) == ("2019-11", 14)
    assert written["days"] == ["2019-11-12"]


def test_a_changed_factor_is_of_its_readings_alone(session: Any, meter: Customer) -> None:
    price = session.scalars(select(GasPrice).where(GasPrice.effective_from == PRICES[1][0])).one()
    with rewritten(session) as written:
        session.merge(price).correction_factor = D("1.1")
        session.commit()
    assert right(session, meter) == 36
    assert (written["months"][0], len(written["months"])) == ("2018-09", 28)
    assert (written["days"][0], written["days"][-1]) == ("2018-09-15", "2019-06-30")


def test_a_deleted_deposit_touches_no_reading(session: Any, meter: Customer) -> None:
    deposit = session.scalars(
        select(Deposit).where(Deposit.deposited_on == date(2020, 10, 5))
    ).one()
    with rewritten(session) as written:
        session.delete(session.merge(deposit))
        session.commit()
    assert right(session, meter) == 36
    assert written == {"months": ["2020-10", "2020-11", "2020-12"], "days": []}


def test_a_price_between_two_others_is_of_the_days_between(session: Any, meter: Customer) -> None:
    with rewritten(session) as written:
        GasPriceFactory(customer=meter, effective_from=date(2018, 3, 10), price_per_sm3=D("9999.5"))
        session.commit()
    assert right(session, meter) == 36
    assert (written["months"][0], len(written["months"])) == ("2018-03", 34)
    assert (written["days"][0], written["days"][-1]) == ("2018-03-10", "2018-09-14")


def test_off_removes_what_is_stored_and_on_is_as_before(session: Any, meter: Customer) -> None:
    before = stored(session, meter.id)
    meter.use_realtime_calculation = False
    session.commit()
    assert stored(session, meter.id) == ({}, {})
    meter.use_realtime_calculation = True
    session.commit()
    assert stored(session, meter.id) == before
    assert meter.balance_last_updated_at is not None
