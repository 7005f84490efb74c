"""Rows computed on read equal those that would be stored, to the cent."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from backoffice.base.periods import Month
from backoffice.customers.models import Customer
from backoffice.gas import queries
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory

from .test_heat_meter import _make

D = Decimal


def everything(session: Any, customer: Customer) -> Any:
    """All derived rows of a customer, without ids and timestamps."""

    def plain(rows: Any) -> Any:
        dropped = {"id", "calculated_at", "last_calculated_at"}
        return [{k: v for k, v in row._mapping.items() if k not in dropped} for row in rows]

    session.expire_all()
    months = [Month.parse(row.year_month) for row in queries.statement(session, customer.id)]
    return (
        plain(queries.statement(session, customer.id)),
        [plain(queries.calculations_for(session, customer.id, month)) for month in months],
        plain(months_of(session, customer.id)),
        queries.balance_of(session, customer.id),
        queries.unpriced(session),
    )


def months_of(session: Any, customer_id: int) -> Any:
    """The customer's months with a movement, in order."""
    rows = queries.MONTHS
    mine = select(rows).where(rows.c.customer_id == customer_id).order_by(rows.c.year_month)
    return session.execute(mine).all()


def test_off_and_on_are_read_the_same(session: Any, kept_book: Callable[..., None]) -> None:
    kept_book("heat meter", lambda: _make(session))
    customer = session.scalars(select(Customer)).one()
    stored = everything(session, customer)
    customer.use_realtime_calculation = False
    session.commit()
    assert queries.counts(session)["transaction_calculations"] == 0
    assert everything(session, customer) == stored
    assert len(stored[0]) == len(list(Month(2018, 1).through(Month.current())))


def test_a_month_without_movement_is_the_closing_balance_before_it(session: Any) -> None:
    customer = CustomerFactory()
    GasPriceFactory(customer=customer, price_per_sm3=D(10), correction_factor=D(1))
    DepositFactory(customer=customer, deposited_on=date(2025, 11, 30), amount=D(5000))
    ReadingFactory(customer=customer, read_on=date(2026, 2, 1), metered_volume=D("10.5"))
    session.commit()
    for is_on in (True, False):
        customer.use_realtime_calculation = is_on
        session.commit()
        rows = queries.statement(session, customer.id)
        assert [
            (
                r.year_month,
                r.opening_balance,
                r.total_deposits,
                r.total_purchases,
                r.closing_balance,
            )
            for r in rows[:5]
        ] == [
            ("2025-11", D(0), D(5000), D(0), D(5000)),
            ("2025-12", D(5000), D(0), D(0), D(5000)),
            ("2026-01", D(5000), D(0), D(0), D(5000)),
            ("2026-02", D(5000), D(0), D(105), D(4895)),
            ("2026-03", D(4895), D(0), D(0), D(4895)),
        ]
        assert {row.closing_balance for row in rows[3:]} == {D(4895)}
        assert rows[-1].year_month == str(Month.current())


def test_a_reading_without_a_price_is_kept_and_makes_its_month_incomplete(session: Any) -> None:
    customer = CustomerFactory()
    GasPriceFactory(customer=customer, effective_from=date(2026, 1, 10))
    ReadingFactory(customer=customer, read_on=date(2026, 1, 9))
    ReadingFactory(customer=customer, read_on=date(2026, 1, 10))
    other = ReadingFactory(read_on=date(2026, 3, 1))
    session.commit()
    assert queries.unpriced(session) == 2
    [month] = months_of(session, customer.id)
    assert month.calculation_details == {"readings": 2, "unpriced": 1, "deposits": 0}
    [alone] = months_of(session, other.customer_id)
    assert (alone.closing_balance, alone.calculation_details["unpriced"]) == (0, 1)
