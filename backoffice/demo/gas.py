"""The demo company's metered gas: a few customers with daily readings, their own prices, and deposits."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ..base import periods
from ..base.periods import Month
from ..customers.models import Customer
from ..gas.models import Deposit, GasPrice, Reading
from .fitting import fit

CUSTOMERS = 6
MONTHS = 14
"""Months before the current one."""

PRICE, FACTOR = Decimal("0.68"), "1.012345"
RAISED = Decimal("0.74")
"""The price per Sm³ in dollars for the last months; `PRICE` is the one before."""

LATE, OFF = 2, 4
"""The customer with a first reading before its first price, and the one with months computed on read."""

DEPOSITED = Decimal("2500.00")


def load(session: Session) -> None:
    """Write a year and two months of data for each customer. Never commits."""
    newest = (
        select(Customer).where(Customer.merged_into_id.is_(None)).order_by(Customer.code.desc())
    )
    begin = (Month.current() - MONTHS).first
    for place, customer in enumerate(session.scalars(newest.limit(CUSTOMERS)).all()):
        _price(session, customer, place, begin)
        session.execute(insert(Reading).values(list(_readings(customer, place, begin))))
        session.execute(insert(Deposit).values(list(_deposits(customer, place, begin))))
        if place == OFF:
            customer.use_realtime_calculation = False
    session.flush()


def _price(session: Session, customer: Customer, place: int, begin: date) -> None:
    since = begin + timedelta(days=1) if place == LATE else begin
    raised_on = (Month.current() - 5).first
    for day, dollars in ((since, PRICE), (raised_on, RAISED)):
        price = fit().rate(dollars * (100 + place) / 100)
        session.add(
            GasPrice(
                customer_id=customer.id, effective_from=day,
                price_per_sm3=price, correction_factor=Decimal(FACTOR) + Decimal(place) / 1000,
            )
        )  # fmt: skip


def _readings(customer: Customer, place: int, begin: date) -> Iterator[dict[str, object]]:
    """A volume for every day, higher on weekdays, and varying."""
    for number in range((periods.today() - begin).days):
        day = begin + timedelta(days=number)
        usual = Decimal(90 + 25 * place) if day.weekday() < 5 else Decimal(35 + 10 * place)
        volume = usual + Decimal(number * 7919 % 1000 * (place + 3)) / 100
        yield {"customer_id": customer.id, "read_on": day, "metered_volume": volume}


def _deposits(customer: Customer, place: int, begin: date) -> Iterator[dict[str, object]]:
    """A transfer in most months; purchases take some months below zero."""
    for number, month in enumerate(Month.of(begin).through(Month.current())):
        day = month.first + timedelta(days=2 + place)
        if number % 7 != place and day <= periods.today():
            amount = fit().price(DEPOSITED * (4 + place) / 4)
            yield {
                "customer_id": customer.id, "deposited_on": day, "amount": amount,
                "note": "Bank transfer",
            }  # fmt: skip
