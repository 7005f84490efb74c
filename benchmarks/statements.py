"""The time profile of a piece of work: milliseconds of each of its statements, and the remainder."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import psycopg

from .timing import Side

LENGTH = 72

Spent = dict[str, list[float]]


def statements_of(side: Side, runs: int) -> str:
    """One line per statement: its milliseconds in a run, including the round trip."""
    with _watched() as spent:
        whole = median(side() for _ in range(runs))
    lines = {name: median(times) * len(times) / runs for name, times in spent.items()}
    lines["BEGIN, COMMIT and Python"] = whole - sum(lines.values())
    return "\n".join(f"{seconds * 1000:8.3f} ms  {name}" for name, seconds in lines.items())


@contextmanager
def _watched() -> Iterator[Spent]:
    """Time every statement of the driver's cursors: the drain bypasses SQLAlchemy's events."""
    spent: Spent = {}
    execute = psycopg.Cursor.execute

    def timed(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        answer = execute(cursor, query, *arguments, **options)
        name = " ".join(str(query).split())[:LENGTH]
        spent.setdefault(name, []).append(time.perf_counter() - start)
        return answer

    psycopg.Cursor.execute = timed  # type: ignore[assignment,method-assign]
    try:
        yield spent
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]
