"""Reading one cell of an imported file. Each reader answers a value or raises with a sentence."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from email_validator import EmailNotValidError, validate_email

from .. import money
from ..base import N_


class CellError(ValueError):
    """A cell was refused. `message` is a translatable sentence, to be filled with `params`."""

    def __init__(self, message: str, **params: str) -> None:
        super().__init__(message % params)
        self.message = message
        self.params = params


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NOT_UTF8 = re.compile(r"[\ud800-\udfff]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


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


def one_of(*choices: str) -> Callable[[str], str]:
    """A reader of one of `choices`."""

    def read(cell: str) -> str:
        if cell not in choices:
            raise CellError(N_("This is none of %(choices)s."), choices=", ".join(choices))
        return cell

    return read


_email_text = text(254)


def email(cell: str) -> str:
    """An e-mail address, in lower case as users are stored."""
    try:
        address = validate_email(_email_text(cell), check_deliverability=False).normalized
    except EmailNotValidError:
        raise CellError(N_("This is not an e-mail address.")) from None
    return address.lower()


def day(cell: str) -> date:
    """A date as YYYY-MM-DD."""
    if not _DATE.fullmatch(cell):
        raise CellError(N_("Write the date as YYYY-MM-DD."))
    try:
        return date.fromisoformat(cell)
    except ValueError:
        raise CellError(N_("There is no such day. Write the date as YYYY-MM-DD.")) from None


def amount(cell: str) -> Decimal:
    """An amount of 0 or more, with a point before the decimals."""
    return money.parse_amount(cell, "plain", minimum=Decimal(0))


def quantity(cell: str) -> Decimal:
    """A quantity of 0 or more, with a point before the decimals."""
    return money.parse_quantity(cell, "plain")


def unit_price(cell: str) -> Decimal:
    """A price per unit of 0 or more, with a point before the decimals."""
    return money.parse_unit_price(cell, "plain")
