"""Money: column types, rounding, parsing and formatting, for the whole app.

Decimal throughout; a float anywhere near money is a defect. Imports no Flask: the caller passes the current user's
number format and language (`web/formats.py` does for the web).
"""

import re
import unicodedata
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Annotated, Any, NamedTuple

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Numeric,
    bindparam,
    func,
)
from sqlalchemy.orm import mapped_column

from . import N_
from .currencies import CURRENCIES, MINOR_UNITS

Money = Annotated[Decimal, mapped_column(Numeric(15, 2))]
"""An amount in the deployment's currency, up to 9,999,999,999,999.99."""
Quantity = Annotated[Decimal, mapped_column(Numeric(15, 3))]
UnitPrice = Annotated[Decimal, mapped_column(Numeric(15, 4))]
Factor = Annotated[Decimal, mapped_column(Numeric(15, 6))]

QUANTITY_DECIMALS = 3
UNIT_PRICE_DECIMALS = 4
FACTOR_DECIMALS = 6

MAX_AMOUNT = Decimal("9999999999999.99")
"""The largest amount that a Money column holds."""
MAX_QUANTITY = Decimal("999999999999.999")
MAX_UNIT_PRICE = Decimal("99999999999.9999")
MAX_FACTOR = Decimal("999999999.999999")

_currency = "IDR"


def set_currency(code: str) -> None:
    """Make `code` the deployment's currency for this process. Raises ValueError if unknown."""
    global _currency
    if code not in CURRENCIES:
        raise ValueError(f"CURRENCY {code!r} is not known; choose one of {', '.join(CURRENCIES)}.")
    _currency = code


def currency() -> str:
    """The deployment's currency (ISO 4217)."""
    return _currency


def currency_symbol() -> str:
    """The sign in front of an amount of the deployment's currency: Rp, KSh, ₫."""
    return CURRENCIES[_currency].symbol


def minor_unit() -> int:
    """Decimals of the deployment's currency."""
    return MINOR_UNITS[_currency]


def max_amount() -> Decimal:
    """The largest amount of the deployment's currency that a Money column holds."""
    return MAX_AMOUNT if minor_unit() else MAX_AMOUNT.to_integral_value(ROUND_FLOOR)


def no_nan(*columns: str) -> CheckConstraint:
    """A CHECK that refuses NaN in `columns`: numeric accepts NaN, and one NaN makes SUM NaN."""
    return CheckConstraint(" AND ".join(f"{c} <> 'NaN'" for c in columns), name="no_nan")


# Rounding


def rounded(amount: ColumnElement[Any]) -> ColumnElement[Decimal]:
    """`amount` rounded to the currency's minor unit, half away from zero, by PostgreSQL."""
    return func.round(
        amount,
        bindparam("minor_unit", callable_=minor_unit, unique=False),
        type_=Numeric(15, 2),
    )


def round_amount(amount: Decimal, decimals: int | None = None) -> Decimal:
    """`amount` rounded to `decimals` (default: the minor unit), half away from zero."""
    return _quantized(amount, minor_unit() if decimals is None else decimals)


def split(amount: Decimal, parts: int) -> list[Decimal]:
    """`amount` in `parts` that add up to it exactly and differ by one minor unit at most.

    The larger ones come first. Raises ValueError when there is no part, or when `amount` has a
    fraction of the minor unit.
    """
    if parts < 1:
        raise ValueError(f"An amount cannot be split in {parts}.")
    units = amount.scaleb(minor_unit(), Context(prec=100))
    if units != units.to_integral_value():
        raise ValueError(f"{amount} has a fraction of the smallest unit of {currency()}.")
    share, left = divmod(abs(int(units)), parts)
    sign = -1 if units < 0 else 1
    sizes = (share + 1 if part < left else share for part in range(parts))
    return [_quantized(Decimal(sign * size).scaleb(-minor_unit()), minor_unit()) for size in sizes]


def _quantized(value: Decimal, decimals: int) -> Decimal:
    # A context of its own: the default one has 28 digits, too few for quantity × price.
    result = value.quantize(
        Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP, context=Context(prec=100)
    )
    return result or result.copy_abs()


# Number formats


class NumberFormat(NamedTuple):
    """How numbers are written: the sign between thousands, and the one before decimals."""

    group: str
    point: str

    def example(self, decimals: int) -> str:
        """A number that shows how to write one with up to `decimals` decimals."""
        return f"1{self.group}000{self.point}50" if decimals else f"1{self.group}000"


NUMBER_FORMATS = {
    "en": NumberFormat(",", "."),
    "id": NumberFormat(".", ","),
    "plain": NumberFormat("", "."),
}
"""`en` 1,000.50 · `id` 1.000,50 · `plain` 1000.50 (files and programs)."""


def _readable(style: NumberFormat) -> re.Pattern[str]:
    grouped = rf"[1-9]\d{{0,2}}(?:{re.escape(style.group)}\d{{3}})+|" if style.group else ""
    return re.compile(
        rf"(?P<whole>{grouped}\d+|(?={re.escape(style.point)}))"
        rf"(?:{re.escape(style.point)}(?P<fraction>\d+))?",
        re.ASCII,
    )


_READABLE = {name: _readable(style) for name, style in NUMBER_FORMATS.items()}


# Parsing


class AmountError(ValueError):
    """A number was refused. `message` is a translatable sentence, to be filled with `params`."""

    def __init__(self, message: str, **params: str) -> None:
        super().__init__(message % params)
        self.message = message
        self.params = params


class AmbiguousAmount(AmountError):
    """A number was refused because its decimals may be thousands.

    `literal` is its value as it is written; None where the field has too few decimals for it.
    """

    def __init__(self, message: str, literal: Decimal | None, **params: str) -> None:
        super().__init__(message, **params)
        self.literal = literal


LONGEST_INPUT = 40
"""Characters that a typed number may have; the longest valid one has 27."""

_SPACES = " \t\r\n\u00a0\u202f"
_MINUS = ("-", "\u2212")


def parse_amount(
    text: str,
    number_format: str = "plain",
    *,
    decimals: int | None = None,
    minimum: Decimal | None = None,
    maximum: Decimal | None = None,
) -> Decimal:
    """Parse an amount in the deployment's currency, written in `number_format`.

    Strips spaces, the currency's signs, `-`/`−` and accounting brackets. `decimals` defaults to the
    minor unit (the result carries exactly that many), `maximum` to what the column holds. Raises
    AmountError, with a sentence, for everything else.
    """
    places = minor_unit() if decimals is None else decimals
    value = _parse(text, number_format, places, _currency_signs())
    return _in_range(value, number_format, minimum, max_amount() if maximum is None else maximum)


def parse_unit_price(text: str, number_format: str = "plain") -> Decimal:
    """A price per unit of 0 or more, with up to four decimals. Raises AmountError."""
    return parse_amount(
        text,
        number_format,
        decimals=UNIT_PRICE_DECIMALS,
        minimum=Decimal(0),
        maximum=MAX_UNIT_PRICE,
    )


def parse_factor(text: str, number_format: str = "plain") -> Decimal:
    """A factor of 0 or more, with up to six decimals. Raises AmountError."""
    return parse_quantity(text, number_format, decimals=FACTOR_DECIMALS, maximum=MAX_FACTOR)


def parse_quantity(
    text: str,
    number_format: str = "plain",
    *,
    decimals: int = QUANTITY_DECIMALS,
    minimum: Decimal | None = Decimal(0),
    maximum: Decimal = MAX_QUANTITY,
) -> Decimal:
    """A quantity (no currency sign) with up to three decimals. Raises AmountError."""
    value = _parse(text, number_format, decimals, ())
    return _in_range(value, number_format, minimum, maximum)


def _parse(text: str, number_format: str, decimals: int, signs: tuple[str, ...]) -> Decimal:
    if len(text) > LONGEST_INPUT:
        raise AmountError(
            N_("This is too long for a number: at most %(limit)s characters."),
            limit=str(LONGEST_INPUT),
        )
    digits, is_negative = _unwrapped(text, signs)
    match = _READABLE[number_format].fullmatch(digits)
    if match is None:
        raise _refusal(digits, NUMBER_FORMATS[number_format].example(decimals))
    fraction = match["fraction"] or ""
    if len(fraction) > decimals or _is_ambiguous(match["whole"], fraction, number_format, decimals):
        raise _decimals_refusal(match["whole"], fraction, number_format, decimals)
    whole = match["whole"].replace(NUMBER_FORMATS[number_format].group, "")
    value = Decimal(f"{whole or 0}.{fraction:0<{decimals}}")
    return value.copy_negate() if is_negative else value


def _is_ambiguous(whole: str, fraction: str, number_format: str, decimals: int) -> bool:
    """Whether the decimal sign may have been meant between thousands, as in 1.500 in English.

    A field of exactly three decimals (metered volumes) has to take the user's format at its word; a factor, which is
    about one, is never thousands.
    """
    return (
        bool(NUMBER_FORMATS[number_format].group)
        and len(fraction) == 3
        and decimals not in (QUANTITY_DECIMALS, FACTOR_DECIMALS)
        and re.fullmatch(r"[1-9]\d{0,2}", whole, re.ASCII) is not None
    )


def _decimals_refusal(whole: str, fraction: str, number_format: str, decimals: int) -> AmountError:
    if decimals == 0:
        return AmountError(N_("Enter a whole number: decimals are not used here."))
    if _is_ambiguous(whole, fraction, number_format, decimals):
        style, literal = NUMBER_FORMATS[number_format], Decimal(f"{whole}.{fraction}")
        return AmbiguousAmount(
            N_("Is this %(thousands)s or %(decimal)s? Write it in one of these ways."),
            literal if len(fraction) <= decimals else None,
            thousands=f"{whole}{style.group}{fraction}",
            decimal=_formatted(literal, style, 1),
        )
    return AmountError(
        N_("At most %(decimals)s decimals are allowed here."), decimals=str(decimals)
    )


def _in_range(
    value: Decimal, number_format: str, minimum: Decimal | None, maximum: Decimal
) -> Decimal:
    style = NUMBER_FORMATS[number_format]
    if value > maximum:
        raise AmountError(
            N_("This is too large: at most %(maximum)s."), maximum=_formatted(maximum, style, 0)
        )
    lowest = maximum.copy_negate() if minimum is None else minimum
    is_minus_zero = value.is_signed() and value == 0
    if value < lowest or (is_minus_zero and lowest >= 0):
        raise AmountError(
            N_("This is too small: at least %(minimum)s."), minimum=_formatted(lowest, style, 0)
        )
    return value.copy_abs() if is_minus_zero else value


def _unwrapped(text: str, signs: tuple[str, ...]) -> tuple[str, bool]:
    """The digits and separators of `text` without its currency sign, and whether it is negative."""
    stripped = text.strip(_SPACES)
    body = _without_sign(stripped, signs)
    may_hold_sign = body == stripped
    is_bracketed = body.startswith("(") and body.endswith(")")
    is_negative = is_bracketed or body.startswith(_MINUS)
    if is_negative:
        body = body[1 : -1 if is_bracketed else None].strip(_SPACES)
    return (_without_sign(body, signs) if may_hold_sign else body), is_negative


def _without_sign(text: str, signs: tuple[str, ...]) -> str:
    for sign in signs:
        if text[: len(sign)].casefold() == sign.casefold():
            return text[len(sign) :].strip(_SPACES)
        if text[-len(sign) :].casefold() == sign.casefold():
            return text[: -len(sign)].strip(_SPACES)
    return text


def _currency_signs() -> tuple[str, ...]:
    """The signs of the deployment's currency, longest first: `Rp.` is not `Rp` and a point."""
    own = CURRENCIES[_currency]
    return tuple(sorted({own.symbol, *own.also_read, _currency}, key=len, reverse=True))


def _refusal(body: str, example: str) -> AmountError:
    """The most specific error for a `body` that is not a number as in `example`."""
    if not body:
        return AmountError(N_("Enter a number."))
    if any(_is_foreign_digit(character) for character in body):
        return AmountError(N_("Use the digits 0 to 9."))
    if re.fullmatch(r"[\d.,]+[eE][+-]?\d+", body, re.ASCII):
        return AmountError(N_("Write the number out: exponents are not read."))
    message = N_("This is not a number. Write it as %(example)s.")
    if re.fullmatch(r"[\d.,]+", body, re.ASCII):
        message = N_("Write the number as %(example)s.")
    elif re.fullmatch(r"[\d.,_]+", body, re.ASCII):
        message = N_("Write the number without underscores: %(example)s.")
    elif re.fullmatch(rf"[\d.,{_SPACES}]+", body, re.ASCII):
        message = N_("Write the number without spaces inside: %(example)s.")
    elif (code := _currency_written_in(body)) == _currency:
        message = N_("Write the number without a currency sign: %(example)s.")
    elif code:
        return AmountError(N_("This book is kept in %(currency)s only."), currency=_currency)
    return AmountError(message, example=example)


def _currency_written_in(body: str) -> str | None:
    """The code of the currency that is written beside the number in `body`."""
    for code in (_currency, *CURRENCIES):
        known = CURRENCIES[code]
        for sign in (*known.also_read, known.symbol, code):
            rest = _without_sign(body, (sign,))
            if rest != body and re.fullmatch(r"[\d.,]+", rest, re.ASCII):
                return code
    return None


def _is_foreign_digit(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character) in ("Nd", "Nl", "No")


# Formatting


def format_amount(value: Decimal, number_format: str = "en", *, symbol: bool = False) -> str:
    """`value` with the currency's decimals, and its symbol if asked: `-Rp 1,000.50`.

    The space is a no-break one. Never rounds: decimals that the currency does not have are shown
    where a value has them.
    """
    digits = _formatted(value, NUMBER_FORMATS[number_format], minor_unit())
    if not symbol:
        return digits
    sign = "-" if digits.startswith("-") else ""
    return f"{sign}{currency_symbol()}\u00a0{digits.removeprefix('-')}"


def format_quantity(value: Decimal, number_format: str = "en") -> str:
    """`value` with as many decimals as it needs."""
    return _formatted(value, NUMBER_FORMATS[number_format], 0)


def format_unit_price(value: Decimal, number_format: str = "en") -> str:
    """`value` with the currency's decimals or more, but never three: 1.500 could mean thousands."""
    digits = _formatted(value, NUMBER_FORMATS[number_format], minor_unit())
    _, point, fraction = digits.partition(NUMBER_FORMATS[number_format].point)
    return digits + "0" if point and len(fraction) == 3 else digits


def format_percent(value: Decimal, number_format: str = "en") -> str:
    """A percentage with one decimal at least: 92.0%."""
    return f"{_formatted(value, NUMBER_FORMATS[number_format], 1)}%"


def _formatted(value: Decimal, style: NumberFormat, decimals: int) -> str:
    """`value` in `style` with at least `decimals` decimals; exact, and zero never has a sign."""
    if not value.is_finite():
        return str(value)
    whole, _, fraction = f"{value.copy_abs():f}".partition(".")
    fraction = fraction.rstrip("0").ljust(decimals, "0")
    digits = f"{int(whole):,}".replace(",", style.group)
    sign = "-" if value < 0 else ""
    return f"{sign}{digits}{style.point}{fraction}" if fraction else f"{sign}{digits}"
