"""Northwind's revenue by month, account manager and customer, compared with a computation from its files alone."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from backoffice.people.models import User
from backoffice.reports import queries
from backoffice.reports.scope import Period, ReportScope
from tests.northwind import rows

pytestmark = pytest.mark.slow

SIGN = {"package": 1, "addition": 1, "promo": -1, "reduction": -1}


def sales(day: str, year: int) -> Iterator[tuple[dict[str, str], date, Decimal]]:
    """Each order of the year by that date column, with its total; Python rounds every line separately."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows("order_lines.csv"):
        amount = Decimal(row["quantity"]) * Decimal(row["unit_price"])
        totals[row["order_number"]] += SIGN[row["kind"]] * amount.quantize(
            Decimal("0.01"), "ROUND_HALF_UP"
        )
    for row in rows("orders.csv"):
        if row[day].startswith(str(year)):
            yield row, date.fromisoformat(row[day]), totals[row["number"]]


def test_revenue_is_what_the_files_say(northwind, session, finance):
    emails = {person.id: person.email for person in session.scalars(select(User))}
    for basis, day in (("closing", "closing_date"), ("order", "order_date")):
        for year in (1996, 1997, 1998):
            expected = {name: defaultdict(Decimal) for name in queries.DIMENSIONS}
            for row, on, total in sales(day, year):
                expected["month"][on.replace(day=1)] += total
                expected["manager"][row["account_manager_email"]] += total
                expected["customer"][row["customer_code"]] += total
            scope = ReportScope(Period.of_year(year), basis)
            for dimension in queries.DIMENSIONS:
                found = queries.table(session, finance, scope, dimension)
                names = {
                    "month": lambda line: line.key,
                    "manager": lambda line: emails[line.key],
                    "customer": lambda line: line.code,
                }
                name = names[dimension]
                assert {
                    name(line): line.revenue for line in found.lines if line.orders
                } == expected[dimension]
                assert found.total.revenue == sum(expected[dimension].values())
