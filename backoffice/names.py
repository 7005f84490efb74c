"""What may be the name of somebody or something: one can see it."""

_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters by Unicode's word that no font draws: Hangul's fillers."""


def is_visible(name: str) -> bool:
    """Whether `name` has a letter or a digit that one can see, of any script."""
    return any(sign.isalnum() and sign not in _BLANK_LETTERS for sign in name)
