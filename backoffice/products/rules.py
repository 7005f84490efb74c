"""Rules for a product's code and kind, whether it comes from a file, a form or a program."""

from collections.abc import Mapping

from ..base import N_
from ..base.matching import SEPARATOR

CODE_LENGTH = 40
NAME_LENGTH = 200
UNIT_LENGTH = 40

SOLD_AS: Mapping[str, str] = {
    "package": N_("Package price"),
    "addition": N_("Additions"),
    "promo": N_("Promo"),
    "reduction": N_("Reductions"),
}
"""Kind of order line → the name on screen of the order's component that its lines add up to."""

_RESERVED = frozenset({"", ".", "..", "new", "options"})
"""Reserved addresses under /products/, and parts that an address cannot have."""


def is_code(text: str) -> bool:
    """Whether `text` can be a product's code, which is one part of the address of the product's page."""
    is_part = text == text.strip() and "/" not in text and SEPARATOR.strip() not in text
    plain = text.casefold()
    return is_part and plain not in _RESERVED and not plain.startswith("export.")
