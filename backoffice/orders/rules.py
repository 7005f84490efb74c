"""What an order may be called and hold, whoever enters it: the form, a file, a program."""

from ..base import identifiers as names

NUMBER_LENGTH = 40
DESCRIPTION_LENGTH = 200
MOST_LINES = 500
"""Lines that one order may have; what is beyond them is refused, not cut off."""

MOST_ROWS = 2 * MOST_LINES
"""Rows of a form that are read at all, so that there is a form left to say that they are too many."""


def is_number(text: str) -> bool:
    """Whether `text` can be an order's number; `…/calculation/…` is a page below another order."""
    return names.is_number(text, below=("/calculation/",))
