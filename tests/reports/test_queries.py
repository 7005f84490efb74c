"""Revenue adds up exactly: every dimension to the same total, every line to its orders."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from backoffice.base.periods import Month
from backoffice.orders.models import Order
from backoffice.reports import queries
from backoffice.reports.scope import Period, ReportScope
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory

Y1997 = ReportScope(Period.of_year(1997))


def amounts(lines):
    return {line.label or line.key: line.revenue for line in lines}


# The date by which an order counts


def test_closed_orders_count_in_the_month_in_which_they_were_closed(session, finance, order):
    order("100.10", "1997-01-31", "1996-12-30")
    order("200.20", "1997-02-01")
    order("400.40", "1997-12-31")
    order("800.80", None, "1997-05-05")
    found = queries.summary(session, finance, Y1997)
    assert [line.revenue for line in found.months.lines] == [
        Decimal("100.10"), Decimal("200.20"), *[Decimal(0)] * 9, Decimal("400.40"),
    ]  # fmt: skip
    assert (found.total.revenue, found.total.orders) == (Decimal("700.70"), 3)


def test_by_order_date_open_orders_count_too(session, finance, order):
    order("100", "1997-01-31", "1996-12-30")
    order("800.80", None, "1997-05-05")
    found = queries.summary(session, finance, replace(Y1997, basis="order"))
    assert {line.key: line.revenue for line in found.months.lines if line.orders} == {
        date(1997, 5, 1): Decimal("800.80")
    }
    assert found.total.before == 100


def test_a_period_counts_its_first_and_its_last_day(session, finance, order):
    for day in ("1997-01-09", "1997-01-10", "1997-02-20", "1997-02-21"):
        order("1", day)
    scope = ReportScope(Period(date(1997, 1, 10), date(1997, 2, 20)))
    found = queries.summary(session, finance, scope)
    assert [(line.key.month, line.orders) for line in found.months.lines] == [(1, 1), (2, 1)]


# Beside the year before


def test_the_year_before_stands_beside_its_own_month(session, finance, order):
    order("50", "1996-02-29")
    order("75", "1997-02-28")
    february = queries.summary(session, finance, Y1997).months.lines[1]
    assert (february.before, february.revenue, february.change) == (50, 75, 25)
    assert february.growth == Decimal("50.0")
    assert queries.summary(session, finance, Y1997).months.lines[2].growth is None


def test_in_a_period_of_years_an_order_counts_now_and_a_year_later_as_before(
    session, finance, order
):
    order("50", "1996-06-30")
    order("70", "1997-06-30")
    scope = ReportScope(Period(date(1996, 1, 1), date(1997, 12, 31)))
    found = queries.summary(session, finance, scope)
    assert [(line.revenue, line.before) for line in found.months.lines if line.orders] == [
        (50, 0),
        (70, 50),
    ]
    assert (found.total.revenue, found.total.before) == (120, 50)


@pytest.mark.parametrize(
    ("since", "until", "since_before", "until_before"),
    [
        ("1997-01-01", "1997-12-31", "1996-01-01", "1996-12-31"),
        ("1997-02-01", "1997-02-28", "1996-02-01", "1996-02-29"),
        ("2024-02-01", "2024-02-29", "2023-02-01", "2023-02-28"),
        ("2024-02-28", "2024-03-15", "2023-02-28", "2023-03-15"),
    ],
)
def test_a_year_earlier_the_end_of_a_month_is_the_end_of_that_month(
    since, until, since_before, until_before
):
    period = Period(date.fromisoformat(since), date.fromisoformat(until))
    before = Period(date.fromisoformat(since_before), date.fromisoformat(until_before))
    assert period.year_before == before


# Adding up


def test_the_first_ten_customers_and_the_others_come_to_the_total(session, finance, order):
    for number in range(1, 13):
        customer = CustomerFactory(name=f"No. {number}")
        order(f"{number}.01", "1997-03-01", customer=customer)
        order("1000", "1996-03-01", customer=customer)
    customers = queries.summary(session, finance, Y1997).customers
    assert [line.label for line in customers.lines] == [f"No. {n}" for n in range(12, 2, -1)]
    assert customers.others is not None
    assert (customers.others.revenue, customers.others.orders) == (Decimal("3.02"), 2)
    assert (customers.others.before, customers.count) == (2000, 12)
    lines = [*customers.lines, customers.others]
    assert sum(line.revenue for line in lines) == customers.total.revenue == Decimal("78.12")
    assert sum(line.before for line in lines) == customers.total.before
    assert sum(line.share for line in lines) == 100


def test_every_page_of_all_customers_goes_on_where_the_last_one_ended(session, finance, order):
    for number in range(7):
        order(f"{7 - number}.33", "1997-03-01", customer=CustomerFactory(name=f"No. {number}"))
    pages = [
        queries.table(session, finance, Y1997, "customer", limit=3, offset=offset)
        for offset in (0, 3, 6)
    ]
    lines = [line for page in pages for line in page.lines]
    assert [line.label for line in lines] == [f"No. {n}" for n in range(7)]
    assert {page.total.revenue for page in pages} == {sum(line.revenue for line in lines)}
    assert sum(line.share for line in lines) == 100
    assert queries.count(session, finance, Y1997, "customer") == 7


orders_of_some_years = st.lists(
    st.tuples(
        st.decimals(min_value=0, max_value=Decimal("9999999.99"), places=2),
        st.dates(date(1995, 12, 1), date(1998, 2, 1)),
        st.integers(0, 2),
        st.integers(0, 11),
    ),
    min_size=1,
    max_size=25,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(orders_of_some_years, st.integers(0, 40))
def test_every_dimension_comes_to_what_the_orders_come_to(session, finance, made, days):
    session.execute(delete(Order))
    managers = [AccountManagerFactory() for _ in range(3)]
    customers = [CustomerFactory() for _ in range(12)]
    for amount, closed, manager, customer in made:
        OrderFactory(
            order_date=closed, closing_date=closed, total_price=amount, additions=0, promo=0,
            reductions=0, account_manager=managers[manager], customer=customers[customer],
        )  # fmt: skip
    period = Period(date(1997, 1, 1) + timedelta(days), date(1997, 12, 31))
    found = queries.summary(session, finance, ReportScope(period))
    expected = [
        session.scalar(
            select(func.coalesce(func.sum(Order.grand_total), 0)).where(
                Order.closing_date.between(days.since, days.until)
            )
        )
        for days in (period, period.year_before)
    ]
    for table in (found.months, found.managers, found.customers):
        lines = [*table.lines, *([table.others] if table.others else [])]
        assert [sum(line.revenue for line in lines), sum(line.before for line in lines)] == expected
        assert sum(line.orders for line in lines) == found.total.orders
        if found.total.revenue:
            assert sum(line.share for line in lines) == 100
        if table.dimension != "month" and found.total.revenue:
            shares = [line.share for line in table.lines]
            assert shares == sorted(shares, reverse=True)
        everything = queries.table(session, finance, ReportScope(period), table.dimension)
        assert list(everything.lines)[: len(table.lines)] == list(table.lines)
        if everything.lines:
            assert replace(everything.total, share=None) == replace(found.total, share=None)
    session.rollback()


# Visible orders


def test_an_account_manager_sees_only_their_own(session, order):
    own, other = AccountManagerFactory(), AccountManagerFactory()
    order("10", "1997-01-01", account_manager=own)
    order("20", "1997-01-01", account_manager=other)
    assert queries.summary(session, own, Y1997).total.revenue == 10
    assert queries.summary(session, own, replace(Y1997, manager_id=other.id)).total.revenue == 0
    assert queries.years(session, AccountManagerFactory(), "closing") == range(0)


def test_a_report_of_one_manager_and_one_customer(session, finance, order):
    manager, customer = AccountManagerFactory(), CustomerFactory()
    order("1", "1997-01-01", account_manager=manager, customer=customer)
    order("2", "1997-01-01", account_manager=manager)
    order("4", "1997-01-01", customer=customer)
    scopes = [
        replace(Y1997, manager_id=manager.id),
        replace(Y1997, customer_id=customer.id),
        replace(Y1997, manager_id=manager.id, customer_id=customer.id),
    ]
    assert [queries.summary(session, finance, s).total.revenue for s in scopes] == [3, 5, 1]


def test_months_of_a_period_are_all_there(session, finance):
    scope = ReportScope(Period(date(1996, 11, 5), date(1997, 2, 3)))
    found = queries.summary(session, finance, scope)
    assert [Month.of(line.key) for line in found.months.lines] == scope.period.months
    assert (found.total.revenue, found.total.share) == (0, None)
    assert queries.table(session, finance, scope, "month").lines == found.months.lines
