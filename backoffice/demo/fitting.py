"""Adapts Northwind's data: shifts its dates to end this week, and converts its amounts to the deployment's currency.

The files have what Microsoft published: dollars, 1996 to 1998. Dates are shifted by whole weeks, so that weekdays stay;
prices are multiplied and rounded to usual steps. In US dollars they are Northwind's own to the cent.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path
from typing import BinaryIO

from ..base import money, periods

Line = Mapping[str, object]

DATA = Path(__file__).parent / "data"
FIRST, LAST = date(1996, 7, 4), date(1998, 5, 6)
"""The first and the last day of the files' orders."""

DAYS = ("order_date", "closing_date", "effective_from")
_PERCENT_OFF = re.compile(r"(\d+)% off (.+)")


@dataclass(frozen=True)
class Fit:
    """The approximate worth of a dollar in a currency, and the step to which prices are rounded."""

    worth: Decimal
    step: Decimal

    def price(self, dollars: Decimal) -> Decimal:
        """A price or fee in the currency; never zero."""
        steps = (dollars * self.worth / self.step).quantize(Decimal(1), ROUND_HALF_UP)
        return (steps or Decimal(1).copy_sign(dollars)) * self.step

    def rate(self, dollars: Decimal) -> Decimal:
        """A price per small unit (a kWh), with four decimals, or none where the currency's steps are whole units."""
        exact = Decimal(1) if self.step >= 1 else Decimal("0.0001")
        return (dollars * self.worth).quantize(exact, ROUND_HALF_UP)


def _fit(worth: str, step: str) -> Fit:
    return Fit(Decimal(worth), Decimal(step))


FITS = {
    "AUD": _fit("1.5", "0.05"),
    "CNY": _fit("7", "0.1"),
    "EUR": _fit("0.9", "0.01"),
    "GBP": _fit("0.8", "0.01"),
    "IDR": _fit("15000", "500"),
    "INR": _fit("80", "1"),
    "JPY": _fit("150", "10"),
    "KES": _fit("130", "5"),
    "KRW": _fit("1300", "100"),
    "MYR": _fit("4.5", "0.05"),
    "NGN": _fit("1500", "50"),
    "PHP": _fit("55", "1"),
    "RWF": _fit("1300", "50"),
    "SGD": _fit("1.35", "0.05"),
    "THB": _fit("35", "1"),
    "TZS": _fit("2500", "100"),
    "UGX": _fit("3700", "100"),
    "USD": _fit("1", "0.01"),
    "VND": _fit("25000", "1000"),
    "ZAR": _fit("18", "0.5"),
}
"""Conversion by currency; not exchange rates of any day, only realistic magnitudes."""


def fit() -> Fit:
    """The conversion to the deployment's currency."""
    return FITS[money.currency()]


def shift(today: date) -> timedelta:
    """The whole weeks to add to Northwind's dates, so that its last orders are in this week."""
    return timedelta(weeks=(today - LAST).days // 7)


def years_with_targets(today: date) -> Sequence[int]:
    """The years for which the year before has orders, so that targets follow from it."""
    return range((FIRST + shift(today)).year + 1, today.year + 1)


@dataclass(frozen=True)
class LinesAsFile:
    """Lines that are imported like a file."""

    name: str
    lines: Sequence[Line]

    def open(self) -> BinaryIO:
        """The file's content as a binary stream."""
        text = StringIO()
        writer = csv.DictWriter(text, list(self.lines[0]))
        writer.writeheader()
        writer.writerows(self.lines)
        return BytesIO(text.getvalue().encode())


def fitted(name: str) -> LinesAsFile:
    """One of Northwind's files, with shifted dates and converted amounts."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    later, prices = shift(periods.today()), partial(_priced, {})
    return LinesAsFile(name, [_dated(prices(row), later) for row in rows])


def _dated(row: Line, later: timedelta) -> Line:
    moved = {name: date.fromisoformat(str(row[name])) + later for name in DAYS if row.get(name)}
    return {**row, **moved}


def _priced(sold: dict[tuple[object, str], Decimal], row: Line) -> Line:
    """The line with its price; a percentage off is that of the line above that it is off of."""
    if "unit_price" not in row:
        return row
    price = fit().price(Decimal(str(row["unit_price"])))
    if "order_number" not in row:
        return {**row, "unit_price": price}
    order, description = row["order_number"], str(row["description"])
    if off := _PERCENT_OFF.fullmatch(description):
        price = money.round_amount(sold[order, off[2]] * int(off[1]) / 100)
    elif row["kind"] == "package":
        sold[order, description] = Decimal(str(row["quantity"])) * price
    return {**row, "unit_price": price}
