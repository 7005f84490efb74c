"""Rules for an order's number and size, whether it comes from the form, a file or a program."""

from ..base import N_
from ..base import identifiers as names

NUMBER_LENGTH = 40
NUMBER_TAKEN = N_("There is already an order %(number)s. Choose another number.")
DESCRIPTION_LENGTH = 200

MOST_LINES = 5_000
"""Lines that an order may have, by a file or the API; the form shows fewer (`records/lines.py`)."""


def is_number(text: str) -> bool:
    """Whether `text` can be an order's number; not with `/calculation/`, the address of a page of another order."""
    return names.is_number(text, below=("/calculation/",))
