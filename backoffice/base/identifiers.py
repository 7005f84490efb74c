"""What may be the name of a person or a thing, its number or its id."""

import re
from collections.abc import Collection

from . import N_

_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters by Unicode's word that no font draws: Hangul's fillers."""


def is_visible(name: str) -> bool:
    """Whether `name` has a letter or a digit that one can see, of any script."""
    return any(sign.isalnum() and sign not in _BLANK_LETTERS for sign in name)


def is_id(text: str) -> bool:
    """Whether `text` can be the id of a row: digits alone, and no more than PostgreSQL's bigint always holds."""
    return text.isascii() and text.isdigit() and len(text) < 19


def whole_number(text: str | None) -> int:
    """What a hidden field or an address holds: a version or an id; -1, which no row has, for anything else."""
    text = text or ""
    return int(text) if is_id(text) else -1


NUMBER_SAYS = N_("Use letters, digits, spaces and . _ - / and end with a part that has a digit.")
"""What a number that cannot be is answered with."""

_NUMBER = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9 ._-]*/)*[A-Za-z0-9][A-Za-z0-9 ._-]*", re.ASCII)


def is_number(text: str, below: Collection[str]) -> bool:
    """Whether `text` can be the number of a record: part of an address, with a digit in its last part.

    No address below a record has a digit there but those that contain something of `below`; beside it
    only a list's file, `export.…`, is called like a number.
    """
    is_another = text.startswith("export.") or any(part in text for part in below)
    is_address = _NUMBER.fullmatch(text) and not is_another
    return bool(is_address and re.search(r"[0-9][^/]*$", text, re.ASCII))
