"""Rules for an order's number and size, whether it comes from the form, a file or a program."""

from ..base import identifiers as names

NUMBER_LENGTH = 40
DESCRIPTION_LENGTH = 200


def is_number(text: str) -> bool:
    """Whether `text` can be an order's number; not with `/calculation/`, the address of a page of another order."""
    return names.is_number(text, below=("/calculation/",))
