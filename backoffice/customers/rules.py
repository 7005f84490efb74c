"""Rules for a customer's code, and the keys by which two customers seem to be the same."""

CODE_LENGTH = 40
TEXT_LENGTH = 200

_NO_PART = frozenset({"", ".", ".."})
_TAKEN = frozenset({"options", "new", "duplicates", "merge"})
"""Reserved addresses under /customers/."""
_TAKEN_BELOW = frozenset({"edit", "history", "delete"})
"""Reserved addresses under a customer's own."""


def is_code(text: str) -> bool:
    """Whether `text` can be a customer's code, which is part of the address of the customer's page."""
    first, *below = parts = text.casefold().split("/")
    is_address = all(part == part.strip() and part not in _NO_PART for part in parts)
    if below:
        is_taken = first == "merges" or below[-1] in _TAKEN_BELOW
    else:
        is_taken = first in _TAKEN or first.startswith("export.")
    return is_address and not is_taken


# Generated columns. Character ranges instead of classes, because those depend on PostgreSQL's locale.

_ACCENTS_AND_DOTS = r"[\u0300-\u036f.''’`]"
_NO_LETTERS = r"[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+"
_LEGAL_FORMS = (
    "pt|cv|ud|pd|tbk|persero|ltd|limited|llc|llp|inc|incorporated|corp|corporation|co|company|plc|pty|pte|"
    "gmbh|mbh|ag|kg|ohg|ug|ek|sa|sarl|sas|srl|spa|snc|bv|nv|oy|oyj|ab|as|aps|sdn|bhd|kk"
)


def _without(expression: str, pattern: str, by: str = "") -> str:
    return f"regexp_replace({expression}, '{pattern}', '{by}', 'g')"


NAME_KEY = "nullif({}, '')".format(
    _without(
        _without(
            _without(_without("lower(normalize(name, NFKD))", _ACCENTS_AND_DOTS), _NO_LETTERS, " "),
            rf"\m({_LEGAL_FORMS})\M",
        ),
        r"\s",
    )
)
"""A name without case, accents, punctuation, legal form and spaces: PT. Maju Jaya, Tbk → majujaya."""

_DIGITS = _without("phone", "[^0-9]")

PHONE_KEY = f"CASE WHEN length({_DIGITS}) >= 7 THEN right({_DIGITS}, 9) END"
"""The last nine digits, which do not depend on a country or trunk prefix; NULL for fewer than seven."""
