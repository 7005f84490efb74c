"""Slow statements from Backoffice's own logs, for a PostgreSQL without `pg_stat_statements`.

The embedded PostgreSQL's wheel does not include that extension. But every statement over half a second is logged by
the process that sent it, and on one machine the logs are in the home; so they are counted from there.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

EVENT = "slow query"
LOGS = ("web", "worker", "scheduler")


@dataclass(frozen=True)
class Slow:
    """A statement (without its values), how often it was slow, and its average and total time in milliseconds."""

    query: str
    calls: int
    mean: Decimal
    total: Decimal


def slow_statements(home: Path, most: int) -> Sequence[Slow]:
    """The statements with the longest total time, at most `most`; lines that are not this app's are skipped."""
    took: dict[str, list[int]] = defaultdict(list)
    for name in LOGS:
        for log in (home / "logs" / f"{name}.log.1", home / "logs" / f"{name}.log"):
            for statement, milliseconds in _lines(log):
                took[statement].append(milliseconds)
    found = [
        Slow(query, len(times), round(Decimal(sum(times)) / len(times), 1), Decimal(sum(times)))
        for query, times in took.items()
    ]
    return sorted(found, key=lambda slow: (-slow.total, slow.query))[:most]


def _lines(log: Path) -> Iterator[tuple[str, int]]:
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if EVENT in line:
                    yield from _read(line)
    except OSError:
        return


def _read(line: str) -> Iterator[tuple[str, int]]:
    try:
        reported = json.loads(line)
    except ValueError:
        return
    if isinstance(reported, dict) and reported.get("event") == EVENT:
        statement, milliseconds = reported.get("statement"), reported.get("milliseconds")
        if isinstance(statement, str) and isinstance(milliseconds, int):
            yield statement, milliseconds
