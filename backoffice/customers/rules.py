"""What a customer may be called, whoever enters it: a file, a form, a program."""

CODE_LENGTH = 40

_NO_PART = frozenset({"", ".", ".."})
_RESERVED = frozenset({"options"})
"""Addresses under /customers/ that are taken."""


def is_code(text: str) -> bool:
    """Whether `text` can be a customer's code: it is part of the address of the customer's page."""
    parts = text.split("/")
    is_address = all(part == part.strip() and part not in _NO_PART for part in parts)
    return is_address and text.casefold() not in _RESERVED
