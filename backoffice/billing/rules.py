"""What holds for billing wherever it is entered: words, limits and what a document may be."""

import re

from ..base import N_

POSTED, VOID = "posted", "void"
"""A document counts from when it is posted; void instead of deleted, it stays and counts nowhere."""

METHODS = {
    "transfer": N_("Bank transfer"),
    "mobile": N_("Mobile money"),
    "cash": N_("Cash"),
    "card": N_("Card"),
    "cheque": N_("Cheque"),
    "other": N_("Other"),
}
"""How a payment came, and its name on screen."""

NUMBER_LENGTH = 50
"""The longest number of a meter or an invoice, and reference of a payment."""
REASON_LENGTH = 500

_BELOW = ("/assignments/", "/calculation/", "/statement.")
"""Addresses of pages below a record, which go on with a part that may have a digit."""

_NUMBER = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9 ._-]*/)*[A-Za-z0-9][A-Za-z0-9 ._-]*", re.ASCII)


def is_number(text: str) -> bool:
    """Whether `text` can be the number of a meter or an invoice, or a payment's reference.

    It is part of an address, and has a digit in its last part, which no address below it has but those
    of `_BELOW`; beside it only a list's file is called like one that has a digit.
    """
    is_another = text.startswith("export.") or any(part in text for part in _BELOW)
    is_address = _NUMBER.fullmatch(text) and not is_another
    return bool(is_address and re.search(r"[0-9][^/]*$", text, re.ASCII))
