"""What an order may be called and hold, whoever enters it: the form, a file, a program."""

import re

NUMBER_LENGTH = 40
DESCRIPTION_LENGTH = 200
MOST_LINES = 500
"""Lines that one order may have; what is beyond them is refused, not cut off."""

MOST_ROWS = 2 * MOST_LINES
"""Rows of a form that are read at all, so that there is a form left to say that they are too many."""

_NUMBER = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9 ._-]*/)*[A-Za-z0-9][A-Za-z0-9 ._-]*", re.ASCII)


def is_number(text: str) -> bool:
    """Whether `text` can be an order's number: part of an address, a digit in its last part.

    `…/calculation/…` is the address of a page below another order, `export.…` that of the list's file.
    """
    is_another = text.startswith("export.") or "/calculation/" in text
    is_address = _NUMBER.fullmatch(text) and not is_another
    return bool(is_address and re.search(r"[0-9][^/]*$", text, re.ASCII))
