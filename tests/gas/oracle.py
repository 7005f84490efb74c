"""An oracle: the expected amounts of readings and months, computed in Python from plain rows, without figures."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from sqlalchemy import select

from backoffice.gas.models import (
    Deposit,
    GasPrice,
    MonthlyCustomerBalance,
    Reading,
    TransactionCalculation,
)

D = Decimal


class Line(NamedTuple):
    """A reading that is priced."""

    day: date
    volume: Decimal
    price: Decimal
    total: Decimal


class Month(NamedTuple):
    """The amounts of a month, and how many of its readings have no price."""

    opening: Decimal
    deposits: Decimal
    purchases: Decimal
    closing: Decimal
    volume: Decimal
    unpriced: int


Lines = dict[int, Line]
Months = dict[str, Month]


def at(value: Decimal, digits: int) -> Decimal:
    """Rounded half away from zero."""
    return value.quantize(D(1).scaleb(-digits), ROUND_HALF_UP)


def computed(
    readings: Iterable[tuple[int, date, Decimal]],
    prices: Iterable[tuple[date, Decimal, Decimal]],
    deposits: Iterable[tuple[date, Decimal]],
) -> tuple[Lines, Months]:
    """One customer's lines by reading and months by name.

    Of readings (id, day, volume), prices (first day, price, factor) and deposits (day, amount).
    """
    lines: Lines = {}
    paid: dict[str, Decimal] = defaultdict(D)
    drawn: dict[str, list[Line]] = defaultdict(list)
    unpriced: dict[str, int] = defaultdict(int)
    in_order = sorted(prices)
    for key, day, metered in readings:
        month = day.isoformat()[:7]
        drawn[month]
        held = [price for price in in_order if price[0] <= day]
        if not held:
            unpriced[month] += 1
            continue
        _, price, factor = held[-1]
        volume = at(metered * factor, 3)
        lines[key] = Line(day, volume, price, at(volume * price, 2))
        drawn[month].append(lines[key])
    for day, amount in deposits:
        paid[day.isoformat()[:7]] += amount
    months, balance = {}, D(0)
    for month in sorted(paid.keys() | drawn.keys()):
        purchases = sum((line.total for line in drawn[month]), D(0))
        volume = sum((line.volume for line in drawn[month]), D(0))
        closing = balance + paid[month] - purchases
        months[month] = Month(balance, paid[month], purchases, closing, volume, unpriced[month])
        balance = closing
    return lines, months


def expected(session: Any, customer_id: int) -> tuple[Lines, Months]:
    """The same from the stored facts of a customer."""

    def of(model: Any, *columns: Any) -> list[Any]:
        return list(session.execute(select(*columns).where(model.customer_id == customer_id)))

    return computed(
        of(Reading, Reading.id, Reading.read_on, Reading.metered_volume),
        of(GasPrice, GasPrice.effective_from, GasPrice.price_per_sm3, GasPrice.correction_factor),
        of(Deposit, Deposit.deposited_on, Deposit.amount),
    )


def stored(session: Any, customer_id: int) -> tuple[Lines, Months]:
    """The stored rows of a customer."""
    c, m = TransactionCalculation, MonthlyCustomerBalance
    lines = select(c.reading_id, c.transaction_date, c.volume_sm3, c.price_per_sm3, c.total_price)
    months = select(
        m.year_month,
        m.opening_balance,
        m.total_deposits,
        m.total_purchases,
        m.closing_balance,
        m.total_volume_sm3,
        m.calculation_details["unpriced"].as_integer(),
    )
    return (
        {key: Line(*rest) for key, *rest in session.execute(lines.where(c.customer_id == customer_id))},
        {key: Month(*rest) for key, *rest in session.execute(months.where(m.customer_id == customer_id))},
    )  # fmt: skip


def carried(months: Months, until: str) -> Months:
    """Every month from the first to `until`, or to the last; one without movement keeps the closing balance before."""
    found: Months = {}
    name, last = min(months, default=""), max([until, *months])
    while months and name <= last:
        before = found[max(found)].closing if found else D(0)
        found[name] = months.get(name, Month(before, D(0), D(0), before, D(0), 0))
        year, number = int(name[:4]), int(name[5:])
        name = f"{year + number // 12:04d}-{number % 12 + 1:02d}"
    return found


def shown(rows: Iterable[Any]) -> Months:
    """Rows of a statement, or of one month, as months."""
    return {
        row.year_month: Month(
            row.opening_balance, row.total_deposits, row.total_purchases, row.closing_balance,
            row.total_volume_sm3, (row.calculation_details or {"unpriced": 0})["unpriced"],
        )
        for row in rows
    }  # fmt: skip


def follow(months: Months) -> None:
    """Assert that every month opens with the closing balance of the one before."""
    rows = [months[name] for name in sorted(months)]
    assert [row.opening for row in rows] == [D(0), *(row.closing for row in rows)][: len(rows)]
