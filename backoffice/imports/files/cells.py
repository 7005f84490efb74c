"""Readers of single cells of an imported file. Each returns a value or raises an error with a sentence."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from ...base import N_, money, periods
from ...base.identifiers import NUMBER_SAYS
from ...base.languages import in_each_language
from ...people.actions import EmailMalformed, normal_email
from .layout import Notation


class CellError(ValueError):
    """A cell was refused. `message` is a translatable sentence with `params`."""

    def __init__(self, message: str, **params: str) -> None:
        super().__init__(message % params)
        self.message = message
        self.params = params


class WorkbookTrouble(str):
    """A cell of a workbook without a value: its text is the error or the formula, `place` its sheet and cell."""

    __slots__ = ("place",)
    place: str

    @classmethod
    def at(cls, place: str, shown: str) -> "WorkbookTrouble":
        """The trouble at a place."""
        cell = cls(shown)
        cell.place = place
        return cell

    def strip(self, _chars: str | None = None, /) -> "WorkbookTrouble":
        """Return the cell itself, with its place."""
        return self

    @property
    def refusal(self) -> CellError:
        """The sentence that refuses the cell."""
        return CellError(
            N_(
                "Cell %(cell)s of the workbook has no value, but %(shown)s. "
                "Correct it in the spreadsheet, save the workbook and try again."
            ),
            cell=self.place, shown=self[:50],
        )  # fmt: skip


class WorkbookNumber(str):
    """A number of a workbook: with a decimal point and without thousands separators, whatever the files' notation."""

    __slots__ = ()

    def strip(self, _chars: str | None = None, /) -> "WorkbookNumber":
        """Return the number itself: it has no blanks around it."""
        return self


@dataclass(frozen=True)
class NotationReader:
    """A reader that depends on the file's notation; called directly, it reads the documented notation."""

    read: Callable[[str, Notation], Any]

    def __call__(self, cell: str) -> Any:
        """The value of a cell in the documented notation."""
        return self.read(cell, Notation())

    def in_notation(self, notation: Notation) -> Callable[[str], Any]:
        """A reader of this notation."""
        return lambda cell: self.read(
            cell, Notation() if isinstance(cell, WorkbookNumber) else notation
        )


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOT_UTF8 = re.compile(r"[\ud800-\udfff]")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_OTHER_DATE = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})", re.ASCII)
_NAMED_DATE = re.compile(
    r"(\d{1,2})[ .-]+([a-z]{3,9})\.?[ ,-]+(\d{4}|\d{2})", re.ASCII | re.IGNORECASE
)
_TIME = re.compile(
    r"[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?: ?[AP]M)?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?$",
    re.ASCII | re.IGNORECASE,
)
_SERIAL = re.compile(r"(\d{5})(?:\.\d{1,15})?", re.ASCII)
_SERIALS_BEGIN = date(1899, 12, 30)
_SERIALS = range(25569, 62094)
"""The days 1970-01-01 to 2069-12-31 as spreadsheets count them."""

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januari", "feb february februari", "mar march maret", "apr april", "may mei",
            "jun june juni", "jul july juli", "aug august agu agt ags agustus", "sep sept september",
            "oct october okt oktober", "nov november nop nopember", "dec december des desember",
        ), 1,
    )
    for name in names.split()
}  # fmt: skip
"""The months in English and Indonesian, whole and shortened."""


def text(longest: int) -> Callable[[str], str]:
    """A reader of text of at most `longest` characters on one line."""

    def read(cell: str) -> str:
        if len(cell) > longest:
            raise CellError(
                N_("This is too long: at most %(limit)s characters."), limit=str(longest)
            )
        if _NOT_UTF8.search(cell):
            raise CellError(N_("This is not UTF-8. Save the file as CSV in UTF-8 and try again."))
        if _CONTROL.search(cell):
            raise CellError(N_("This holds a line break or another invisible character."))
        return cell

    return read


def number(longest: int, is_number: Callable[[str], bool]) -> Callable[[str], str]:
    """A reader of the number of a record, which is part of its URL."""

    def read(cell: str) -> str:
        if not is_number(text(longest)(cell)):
            raise CellError(NUMBER_SAYS)
        return cell

    return read


def one_of(words: Mapping[str, str]) -> Callable[[str], str]:
    """A reader of one of the names in `words`, or of its word on screen, in any language."""

    @cache
    def names() -> Mapping[str, str]:
        return {
            said.casefold(): name for name, word in words.items() for said in in_each_language(word)
        }

    def read(cell: str) -> str:
        name = cell if cell in words else names().get(cell.casefold())
        if name is None:
            raise CellError(N_("Enter one of these: %(choices)s."), choices=", ".join(words))
        return name

    return read


_YES_OR_NO = {
    **dict.fromkeys(("yes", "ya", "true", "1"), True),
    **dict.fromkeys(("no", "tidak", "false", "0"), False),
}


def yes_or_no(cell: str) -> bool:
    """A boolean, in the spellings of `_YES_OR_NO`."""
    if cell.casefold() not in _YES_OR_NO:
        raise CellError(N_("Write yes or no."))
    return _YES_OR_NO[cell.casefold()]


_email_text = text(254)


def email(cell: str) -> str:
    """An e-mail address as users have it, also one within a company's own network."""
    try:
        return normal_email(_email_text(cell))
    except EmailMalformed:
        raise CellError(N_("This is not an e-mail address.")) from None


@NotationReader
def day(cell: str, notation: Notation) -> date:
    """A date as YYYY-MM-DD, with a month's name, as a spreadsheet's number, or in the file's own order.

    A time behind it is left out: the day is the one that is written.
    """
    parts = _year_month_day(without_time(cell), notation.dates)
    if parts is None:
        raise CellError(_ASKED.get(notation.dates, _ASKED["iso"]))
    try:
        day = date(*parts)
    except ValueError:
        raise CellError(_NO_SUCH_DAY.get(notation.dates, _NO_SUCH_DAY["iso"])) from None
    if not periods.FIRST_DAY <= day <= periods.LAST_DAY:
        raise CellError(N_("Dates are of the years 1900 to 2199. Check the year."))
    return day


def without_time(cell: str) -> str:
    """A day without the time behind it."""
    return _TIME.sub("", cell)


YEAR_FIRST = "ymd"
"""Order of a date with a year of two digits in front: not to be chosen, but another way to read 26/03/31."""

_ASKED = {
    "iso": N_("Write the date as YYYY-MM-DD."),
    "dmy": N_("Write the date as DD/MM/YYYY or YYYY-MM-DD."),
    "mdy": N_("Write the date as MM/DD/YYYY or YYYY-MM-DD."),
}
_NO_SUCH_DAY = {
    "iso": N_("There is no such day. Write the date as YYYY-MM-DD."),
    "dmy": N_("There is no such day. Write the date as DD/MM/YYYY."),
    "mdy": N_("There is no such day. Write the date as MM/DD/YYYY."),
}


def _year_month_day(cell: str, order: str) -> tuple[int, int, int] | None:
    """Year, month and day of a date; None where it is not written in that order."""
    if match := _DATE.fullmatch(cell):
        return int(match[1]), int(match[2]), int(match[3])
    if (match := _SERIAL.fullmatch(cell)) and int(match[1]) in _SERIALS:
        day = _SERIALS_BEGIN + timedelta(days=int(match[1]))
        return day.year, day.month, day.day
    if (match := _NAMED_DATE.fullmatch(cell)) and match[2].lower() in _MONTHS:
        return _year(match[3]), _MONTHS[match[2].lower()], int(match[1])
    match = None if order == "iso" else _OTHER_DATE.fullmatch(cell)
    if match is None:
        return None
    if order == YEAR_FIRST:
        may_be = len(match[1]) == len(match[4]) == 2
        return (_year(match[1]), int(match[3]), int(match[4])) if may_be else None
    first, second, year = int(match[1]), int(match[3]), _year(match[4])
    return (year, second, first) if order == "dmy" else (year, first, second)


def _year(digits: str) -> int:
    """A year; one of two digits is of 1970 to 2069."""
    year = int(digits)
    return year if len(digits) == 4 else year + (1900 if year >= 70 else 2000)


@NotationReader
def amount(cell: str, notation: Notation) -> Decimal:
    """An amount of 0 or more; with a decimal point, unless the file's notation differs."""
    return money.parse_amount(cell, notation.numbers, minimum=Decimal(0))


@NotationReader
def signed_amount(cell: str, notation: Notation) -> Decimal:
    """An amount that may be below 0; with a decimal point, unless the file's notation differs."""
    return money.parse_amount(cell, notation.numbers, minimum=None)


NOTHING = N_("This must be more than 0.")


@NotationReader
def positive_amount(cell: str, notation: Notation) -> Decimal:
    """An amount above 0; with a decimal point, unless the file's notation differs."""
    value = money.parse_amount(cell, notation.numbers, minimum=Decimal(0))
    if not value:
        raise CellError(NOTHING)
    return value


@NotationReader
def quantity(cell: str, notation: Notation) -> Decimal:
    """A quantity of 0 or more; with a decimal point, unless the file's notation differs."""
    return money.parse_quantity(cell, notation.numbers)


@NotationReader
def unit_price(cell: str, notation: Notation) -> Decimal:
    """A price per unit of 0 or more; with a decimal point, unless the file's notation differs."""
    return money.parse_unit_price(cell, notation.numbers)


@NotationReader
def factor(cell: str, notation: Notation) -> Decimal:
    """A factor of 0 or more; with a decimal point, unless the file's notation differs."""
    return money.parse_factor(cell, notation.numbers)
