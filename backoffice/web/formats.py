"""Numbers and dates as displayed, in the current user's number format.

Parsing and rounding are in `base/money.py`; the fields that read numbers are in `typed_fields.py`.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from flask import Flask
from flask_babel import format_date, format_datetime, gettext

from ..base import differences, money
from ..base.periods import read_day
from ..base.refusals import Refusal
from .preferences import number_format


def money_filter(value: Decimal | int | None, symbol: bool = False) -> str:
    """An amount in the user's format, with the currency's symbol if requested; empty for None."""
    if value is None:
        return ""
    return money.format_amount(_exact(value), number_format(), symbol=symbol)


def signed_filter(
    value: Decimal | int | None, write: Callable[..., str] = money_filter, **how: bool
) -> str:
    """A difference in the user's format, with its sign: +250.00, -250.00, 0.00; empty for None."""
    if value is None:
        return ""
    return ("+" if value > 0 else "") + write(value, **how)


def quantity_filter(value: Decimal | int | None) -> str:
    """A quantity, or a count, in the user's format; empty for None."""
    return "" if value is None else money.format_quantity(_exact(value), number_format())


def unit_price_filter(value: Decimal | int | None) -> str:
    """A price per unit in the user's format; empty for None."""
    return "" if value is None else money.format_unit_price(_exact(value), number_format())


def percent_filter(value: Decimal | None) -> str:
    """A percentage in the user's format; empty for None."""
    return "" if value is None else money.format_percent(_exact(value), number_format())


MONTH = "LLLL y"
"""A month in full, with its year."""


def month_filter(value: date | None, pattern: str = MONTH) -> str:
    """The month of a day in the user's language, by default with its year; empty for None."""
    return "" if value is None else str(format_date(value, pattern))


def day_filter(value: date | None) -> str:
    """A calendar day in the user's language; empty for None."""
    return "" if value is None else str(format_date(value, "d MMM y"))


def recorded_day(value: object) -> str:
    """A day that the audit trail or a file holds as text, formatted as by day_filter; any other text as it is."""
    text = str(value)
    day = read_day(text)
    return text if day is None else day_filter(day)


def moment_filter(value: datetime | None) -> str:
    """A moment in the business time zone, to the minute; empty for None."""
    return "" if value is None else str(format_datetime(value, "d MMM y HH:mm"))


def in_words(refusal: Refusal) -> str:
    """The sentence of a refusal in the user's language, with its amounts and days formatted."""
    values = {name: _in_words(value) for name, value in refusal.values.items()}
    return str(gettext(refusal.sentence, **values))


def _in_words(value: object) -> object:
    if isinstance(value, Decimal):
        return money_filter(value, symbol=True)
    return day_filter(value) if isinstance(value, date) else value


FILTERS: dict[str, Callable[..., str]] = {
    "day": day_filter,
    "moment": moment_filter,
    "month": month_filter,
    "money": money_filter,
    "percent": percent_filter,
    "signed": signed_filter,
    "signed_price": lambda value: signed_filter(value, unit_price_filter),
    "quantity": quantity_filter,
    "number": quantity_filter,
    "unit_price": unit_price_filter,
}
"""Name in templates → the function that formats the value."""


def init_app(app: Flask) -> None:
    """Give templates the filters, the currency's symbol for labels beside inputs, and the difference function."""
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.globals["currency_symbol"] = money.currency_symbol
    app.jinja_env.globals["difference_of"] = differences.difference


def _exact(value: Decimal | int) -> Decimal:
    if not isinstance(value, Decimal | int):
        raise TypeError(f"{value!r} is a {type(value).__name__}; money is Decimal only.")
    return Decimal(value)
