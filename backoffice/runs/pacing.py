"""Pacing: a run rests between its transactions, so that people at screens don't feel it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.25
"""The share of its time that a paced worker works; the rest belongs to people."""

LONGEST_REST = 2.0
"""Seconds; a rest is no longer, whatever the transaction took."""


class Pace:
    """The pace of one worker's run. Not paced, it never rests."""

    def __init__(self, is_paced: bool) -> None:
        self._factor = (1 - SHARE) / SHARE if is_paced else 0.0

    @contextmanager
    def around(self) -> Iterator[None]:
        """Work inside, and rest afterwards in proportion, when nothing is locked any more."""
        began = time.monotonic()
        yield
        rest = min((time.monotonic() - began) * self._factor, LONGEST_REST)
        if rest > 0:
            time.sleep(rest)
