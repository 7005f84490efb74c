"""What an order may be called and hold, whoever enters it: the form, a file, a program."""

from ..base import identifiers as names

NUMBER_LENGTH = 40
DESCRIPTION_LENGTH = 200


def is_number(text: str) -> bool:
    """Whether `text` can be an order's number; `…/calculation/…` is a page below another order."""
    return names.is_number(text, below=("/calculation/",))
