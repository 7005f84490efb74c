"""Validation of names, numbers and ids."""

import re
from collections.abc import Collection

from . import N_

_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")
"""Unicode letters that are invisible: Hangul fillers."""


def is_visible(name: str) -> bool:
    """Whether `name` has a visible letter or digit, of any script."""
    return any(sign.isalnum() and sign not in _BLANK_LETTERS for sign in name)


def is_id(text: str) -> bool:
    """Whether `text` can be the id of a row: digits only, and few enough for PostgreSQL's bigint."""
    return text.isascii() and text.isdigit() and len(text) < 19


def whole_number(text: str | None) -> int:
    """The version or id in a hidden field or an address; -1, which no row has, for anything else."""
    text = text or ""
    return int(text) if is_id(text) else -1


NUMBER_SAYS = N_("Use letters, digits, spaces and . _ - / and end with a part that has a digit.")
"""The error for an invalid number."""

_NUMBER = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9 ._-]*/)*[A-Za-z0-9][A-Za-z0-9 ._-]*", re.ASCII)


def is_number(text: str, below: Collection[str]) -> bool:
    """Whether `text` can be the number of a record: part of an address, with a digit in its last part.

    So that no number is also another address: those below a record that could be one contain something of `below`,
    and beside it is only a list's export, `export.…`.
    """
    is_another = text.startswith("export.") or any(part in text for part in below)
    is_address = _NUMBER.fullmatch(text) and not is_another
    return bool(is_address and re.search(r"[0-9][^/]*$", text, re.ASCII))
