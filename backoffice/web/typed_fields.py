"""Form fields that read numbers and dates, in the current user's number format.

Parsing and rounding are in `base/money.py`; formatting is in `formats.py`.
"""

from decimal import Decimal
from typing import Any

from flask_babel import gettext
from wtforms import DateField, Field, MonthField
from wtforms.widgets import TextInput

from ..base import money
from ..base.periods import read_day
from .preferences import input_format, number_format


class AmountField(Field):
    """An amount in the deployment's currency, typed in the user's number format.

    `data` is a Decimal, or None if nothing was typed or the text is refused; the refusal is a sentence in `errors`,
    and the field shows the typed text. `empty_is_zero` reads an empty field as 0; without it, validators such as
    `forms.Required` decide. `minimum=None` allows negative amounts.
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
        """The amount in `text`. Raises `money.AmountError`."""
        return money.parse_amount(text, input_format(), minimum=self.minimum, maximum=self.maximum)

    def write(self, value: Decimal) -> str:
        """`value` as the user would type it."""
        return money.format_amount(value, number_format())

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Parse the typed text. Raises ValueError with the sentence, as WTForms requires."""
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
        """The quantity in `text`. Raises `money.AmountError`."""
        return money.parse_quantity(
            text,
            input_format(),
            minimum=self.minimum,
            maximum=money.MAX_QUANTITY if self.maximum is None else self.maximum,
        )

    def write(self, value: Decimal) -> str:
        """`value` as the user would type it."""
        return money.format_quantity(value, number_format())


class FactorField(QuantityField):
    """A multiplication factor with up to six decimals; else as AmountField."""

    def read(self, text: str) -> Decimal:
        """The factor in `text`. Raises `money.AmountError`."""
        return money.parse_factor(text, input_format())


class UnitPriceField(AmountField):
    """A price per unit with up to four decimals; else as AmountField."""

    def read(self, text: str) -> Decimal:
        """The price in `text`. Raises `money.AmountError`."""
        return money.parse_amount(
            text,
            input_format(),
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


class FirstDayField(MonthField):
    """A calendar month, as its first day; empty is None."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read a month of a year that a record can have."""
        self.data = None
        text = valuelist[0].strip() if valuelist else ""
        if text:
            self.data = read_day(f"{text}-01") if len(text) == 7 else None
            if self.data is None:
                raise ValueError(
                    gettext("This is not a month. Write it as year-month, like 2026-03.")
                )
