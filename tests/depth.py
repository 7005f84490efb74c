"""The depth of randomized tests: TEST_DEPTH, 1 unless it is set.

`TEST_DEPTH=25 make test` makes twenty-five times as many examples, requests and rounds, and makes races last
that much longer, some of them hours (`deep`); the defaults still find the mutants of each test in the time
that the suite has.
"""

import os

DEPTH = float(os.environ.get("TEST_DEPTH") or "1")

LONG = 25
"""The depth of the long suite."""


def examples(usual: int) -> int:
    """The number of examples, rounds or rows, multiplied by the depth; at least one."""
    return max(1, round(usual * DEPTH))


def rounds(usual: int, deep: int) -> int:
    """`usual` rounds at depth 1, `deep` at the depth of the long suite, other depths linearly."""
    return max(1, round(_between(usual, deep)))


def seconds(usual: float, deep: float | None = None) -> float:
    """The seconds of a race, multiplied by the depth; with `deep`, as in `rounds`."""
    return usual * DEPTH if deep is None else _between(usual, deep)


def _between(usual: float, deep: float) -> float:
    return usual + (deep - usual) * (DEPTH - 1) / (LONG - 1)
