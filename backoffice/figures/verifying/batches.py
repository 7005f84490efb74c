"""How much one transaction of a heal takes: owners limited by their rows, fewer while a user waits for their locks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, text

from ..keeping.drain import Drained

WRITE_CHUNK = 1_000
"""The most owners that are locked and recomputed in one transaction."""

READ_ROWS = 50_000
"""The most rows beneath the owners of one transaction (see `rows_beneath`); a single owner may have more."""

MOST_ROWS = 2_000
"""The most rows of a figure that are written in one transaction for a single owner."""

Count = Callable[[Connection, Sequence[Any], int], int]
"""Counts the rows beneath these things, at least up to a limit."""


def one_each(_connection: Connection, things: Sequence[Any], _most: int) -> int:
    """The count of things that are rows themselves."""
    return len(things)


def is_waited_for(connection: Connection) -> bool:
    """Whether another transaction waits for a lock of this one.

    Every role may read `pg_locks`; `pg_stat_activity` hides what other roles wait for.
    """
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)) LIMIT 1"
    return connection.scalar(text(waiting)) is not None


@dataclass
class Stride:
    """How many owners the next transaction takes: fewer where they have many rows, or where a user waited for the last.

    It knows no clock: a busy machine makes a transaction slower and never smaller.
    """

    length: int = WRITE_CHUNK

    def was_too_many(self, owners: int) -> None:
        """Record that so many owners have more rows than a transaction takes."""
        self.length = owners // 2

    def took(self, owners: int, rows: int, *, is_waited_for: bool) -> None:
        """Record a transaction's owners and rows, and whether a user waited for one of its locks at its end."""
        if is_waited_for:
            self.length = max(owners // 2, 1)
        elif 2 * rows <= READ_ROWS:
            self.length = max(self.length, min(2 * owners, WRITE_CHUNK))


class Pieces:
    """How many rows of a figure a transaction writes for one owner: piece by piece, until a row repeats.

    A row that repeats although it was written (another user reverts it) ends this: then all are written at once.
    """

    def __init__(self) -> None:
        self._owner = 0
        self._stuck: set[int] = set()
        self._written: set[tuple[Table, int]] = set()

    def most_rows(self, owner: int) -> int | None:
        """The limit for this owner, which is processed alone; None: all."""
        self._owner = owner
        return None if owner in self._stuck else MOST_ROWS

    def stands(self, drained: Drained) -> None:
        """Record what a committed transaction has written; after a rollback the same rows rightly repeat."""
        if drained.is_cut:
            self._stuck |= {self._owner} if self._written.intersection(drained.changed) else set()
            self._written.update(drained.changed)
