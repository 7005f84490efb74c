"""How deeply the tests look that look at random: TEST_DEPTH, 1 unless it is set.

`TEST_DEPTH=25 make test` makes twenty-five times as many examples, requests and rounds, and races that
much longer; the defaults are what still finds the mutants of each test in the time that the suite has.
"""

import os

DEPTH = float(os.environ.get("TEST_DEPTH") or "1")


def examples(usual: int) -> int:
    """So many examples, rounds or rows, times the depth; at least one."""
    return max(1, round(usual * DEPTH))


def seconds(usual: float) -> float:
    """So many seconds of a race, times the depth."""
    return usual * DEPTH
