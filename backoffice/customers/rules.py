"""Rules for a customer's code."""

CODE_LENGTH = 40
TEXT_LENGTH = 200

_NO_PART = frozenset({"", ".", ".."})
_TAKEN = frozenset({"options", "new", "merge"})
"""Reserved addresses under /customers/."""
_TAKEN_BELOW = frozenset({"edit", "history", "delete"})
"""Reserved addresses under a customer's own."""


def is_code(text: str) -> bool:
    """Whether `text` can be a customer's code, which is part of the address of the customer's page."""
    first, *below = parts = text.casefold().split("/")
    is_address = all(part == part.strip() and part not in _NO_PART for part in parts)
    is_export = first.startswith("export.")
    is_taken = below[-1] in _TAKEN_BELOW if below else first in _TAKEN or is_export
    return is_address and not is_taken
