"""The currencies that a book can be kept in, and how each is written."""

from typing import NamedTuple


class Currency(NamedTuple):
    """How a currency is written: decimals, the displayed symbol, and further signs accepted in input."""

    minor_unit: int
    symbol: str
    also_read: tuple[str, ...] = ()


CURRENCIES = {
    "AUD": Currency(2, "A$"),
    "CNY": Currency(2, "CN¥"),
    "EUR": Currency(2, "€"),
    "GBP": Currency(2, "£"),
    "IDR": Currency(2, "Rp", ("Rp.",)),
    "INR": Currency(2, "₹"),
    "JPY": Currency(0, "¥"),
    "KES": Currency(2, "KSh", ("KSh.", "Ksh/")),
    "KRW": Currency(0, "₩"),
    "MYR": Currency(2, "RM"),
    "NGN": Currency(2, "₦"),
    "PHP": Currency(2, "₱"),
    "RWF": Currency(0, "RF"),
    "SGD": Currency(2, "S$"),
    "THB": Currency(2, "฿"),
    "TZS": Currency(2, "TSh"),
    "UGX": Currency(0, "USh"),
    "USD": Currency(2, "$", ("US$",)),
    "VND": Currency(0, "₫", ("đ",)),
    "ZAR": Currency(2, "R"),
}
"""By ISO 4217 code. Minor units are ISO 4217's; currencies with three do not fit the columns."""

MINOR_UNITS = {code: known.minor_unit for code, known in CURRENCIES.items()}
"""Decimals by currency code."""
