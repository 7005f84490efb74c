"""What a product may be called and sold as, whoever enters it: a file, a form, a program."""

from collections.abc import Mapping

from ..base import N_

CODE_LENGTH = 40
NAME_LENGTH = 200
UNIT_LENGTH = 40

SOLD_AS: Mapping[str, str] = {
    "package": N_("Package price"),
    "addition": N_("Additions"),
    "promo": N_("Promo"),
    "reduction": N_("Reductions"),
}
"""The kinds of order line → the component of an order that lines of the kind add up to, on screen."""

SEPARATOR = " · "
"""What stands between code and name where people choose a product from a list."""

_RESERVED = frozenset({"", ".", "..", "new", "options"})
"""Addresses under /products/ that are taken, and parts that no address can have."""


def is_code(text: str) -> bool:
    """Whether `text` can be a product's code: one part of the address of the product's page."""
    is_part = text == text.strip() and "/" not in text and SEPARATOR.strip() not in text
    plain = text.casefold()
    return is_part and plain not in _RESERVED and not plain.startswith("export.")
