"""How deeply the tests look that look at random: TEST_DEPTH, 1 unless it is set.

`TEST_DEPTH=25 make test` makes twenty-five times as many examples, requests and rounds, and races that
much longer, some of them hours (`deep`); the defaults are what still finds the mutants of each test in the
time that the suite has.
"""

import os

DEPTH = float(os.environ.get("TEST_DEPTH") or "1")

LONG = 25
"""The depth of the long suite."""


def examples(usual: int) -> int:
    """So many examples, rounds or rows, times the depth; at least one."""
    return max(1, round(usual * DEPTH))


def rounds(usual: int, deep: int) -> int:
    """`usual` rounds, and `deep` at the depth of the long suite; in between and beyond in proportion."""
    return max(1, round(_between(usual, deep)))


def seconds(usual: float, deep: float | None = None) -> float:
    """So many seconds of a race, times the depth; or `deep` at the depth of the long suite, as `rounds`."""
    return usual * DEPTH if deep is None else _between(usual, deep)


def _between(usual: float, deep: float) -> float:
    return usual + (deep - usual) * (DEPTH - 1) / (LONG - 1)
