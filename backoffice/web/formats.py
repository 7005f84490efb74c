"""Numbers and dates on the web: form fields that read them and template filters that write them.

Both use the number format of whoever is asking; all that they know of numbers is in `base/money.py`.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask import Flask
from flask_babel import format_date, format_datetime, gettext
from wtforms import DateField, Field
from wtforms.widgets import TextInput

from ..base import differences, money
from ..base.out_of_calendar import is_out_of_calendar, stored_day
from ..base.periods import read_day
from ..base.refusals import Refusal
from .preferences import number_format


class AmountField(Field):
    """An amount in the deployment's currency, typed in the user's number format.

    `data` is a Decimal, or None where nothing was typed or what was typed is refused; the refusal
    is a sentence among `errors`, and the field shows what the user typed. `empty_is_zero` reads
    an empty field as 0; without it, validators such as `forms.Required` decide. `minimum=None`
    allows negative amounts.
    """

    widget = TextInput()

    def __init__(
        self,
        label: Any = None,
        validators: Any = None,
        *,
        empty_is_zero: bool = False,
        minimum: Decimal | None = Decimal(0),
        maximum: Decimal | None = None,
        render_kw: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        attributes = {"inputmode": "decimal", "autocomplete": "off", **(render_kw or {})}
        super().__init__(label, validators, render_kw=attributes, **options)
        self.empty_is_zero = empty_is_zero
        self.minimum = minimum
        self.maximum = maximum

    def read(self, text: str) -> Decimal:
        """The number that `text` says. Raises `money.AmountError`."""
        return money.parse_amount(text, number_format(), minimum=self.minimum, maximum=self.maximum)

    def write(self, value: Decimal) -> str:
        """`value` as the user would type it."""
        return money.format_amount(value, number_format())

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Read what was typed. Raises ValueError with the sentence, as WTForms wants it."""
        if not valuelist:
            return
        text = str(valuelist[0])
        self.data = None
        if not text.strip():
            self.data = Decimal(0) if self.empty_is_zero else None
            return
        try:
            self.data = self.read(text)
        except money.AmountError as refusal:
            raise ValueError(gettext(refusal.message, **refusal.params)) from refusal

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else self.write(self.data)


class QuantityField(AmountField):
    """A quantity with up to three decimals; else as AmountField."""

    def read(self, text: str) -> Decimal:
        """The quantity that `text` says. Raises `money.AmountError`."""
        return money.parse_quantity(
            text,
            number_format(),
            minimum=self.minimum,
            maximum=money.MAX_QUANTITY if self.maximum is None else self.maximum,
        )

    def write(self, value: Decimal) -> str:
        """`value` as the user would type it."""
        return money.format_quantity(value, number_format())


class UnitPriceField(AmountField):
    """A price per unit with up to four decimals; else as AmountField."""

    def read(self, text: str) -> Decimal:
        """The price that `text` says. Raises `money.AmountError`."""
        return money.parse_amount(
            text,
            number_format(),
            decimals=money.UNIT_PRICE_DECIMALS,
            minimum=self.minimum,
            maximum=money.MAX_UNIT_PRICE if self.maximum is None else self.maximum,
        )

    def write(self, value: Decimal) -> str:
        """`value` as the user would type it."""
        return money.format_unit_price(value, number_format())


class DayField(DateField):
    """A calendar day; empty is None."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read an ISO date of a year that a record can have."""
        self.data = None
        text = valuelist[0].strip() if valuelist else ""
        if not text:
            return
        day = read_day(text) if len(text) == 10 else None
        if day is None:
            raise ValueError(
                gettext("This is not a date. Write it as year-month-day, like 2026-03-31.")
            )
        self.data = day

    def __call__(self, **attributes: Any) -> Any:
        """The browser's calendar; a plain text where what is stored stands in none, which it would drop."""
        if is_out_of_calendar(self.data):
            return TextInput()(self, **attributes)
        return super().__call__(**attributes)


def money_filter(value: Decimal | int | None, symbol: bool = False) -> str:
    """An amount as the user reads it, with the currency's symbol if asked; nothing for None."""
    if value is None:
        return ""
    return money.format_amount(_exact(value), number_format(), symbol=symbol)


def signed_filter(
    value: Decimal | int | None, write: Callable[..., str] = money_filter, **how: bool
) -> str:
    """A difference as the user reads it, with its sign: +250.00, -250.00, 0.00; nothing for None."""
    if value is None:
        return ""
    return ("+" if value > 0 else "") + write(value, **how)


def quantity_filter(value: Decimal | int | None) -> str:
    """A quantity, or a count, as the user reads it; nothing for None."""
    return "" if value is None else money.format_quantity(_exact(value), number_format())


def unit_price_filter(value: Decimal | int | None) -> str:
    """A price per unit as the user reads it; nothing for None."""
    return "" if value is None else money.format_unit_price(_exact(value), number_format())


def percent_filter(value: Decimal | None) -> str:
    """A percentage as the user reads it; nothing for None."""
    return "" if value is None else money.format_percent(_exact(value), number_format())


MONTH = "LLLL y"
"""A month in full, with its year."""


def month_filter(value: date | None, pattern: str = MONTH) -> str:
    """The month of a day as the user's language names it, by default with its year; nothing for None."""
    return _as_written(value) or ("" if value is None else str(format_date(value, pattern)))


def day_filter(value: date | None) -> str:
    """A calendar day as the user's language writes it; nothing for None."""
    return _as_written(value) or ("" if value is None else str(format_date(value, "d MMM y")))


def recorded_day(value: object) -> str:
    """A day that the audit trail or a file holds as text, as day_filter writes it."""
    return day_filter(stored_day(str(value)))


def moment_filter(value: datetime | None) -> str:
    """A moment where the business is, to the minute; nothing for None."""
    if value is None:
        return ""
    return _as_written(value) or str(format_datetime(value, "d MMM y HH:mm"))


def _as_written(value: date | None) -> str:
    """A stored date or moment that no record can have, as it is stored; nothing for any other."""
    return str(value) if is_out_of_calendar(value) else ""


def in_words(refusal: Refusal) -> str:
    """The sentence of a refusal in the user's language, its amounts of money and days as they read them."""
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
"""Name in templates → what writes the number."""


def init_app(app: Flask) -> None:
    """Give templates the filters, the currency's symbol for labels beside inputs, and what two values differ by."""
    app.jinja_env.filters.update(FILTERS)
    app.jinja_env.globals["currency_symbol"] = money.currency_symbol
    app.jinja_env.globals["difference_of"] = differences.difference


def _exact(value: Decimal | int) -> Decimal:
    if not isinstance(value, Decimal | int):
        raise TypeError(f"{value!r} is a {type(value).__name__}; money is Decimal only.")
    return Decimal(value)
