"""Metrics of readiness: what `/readyz?deep=1` finds, for alerts."""

from collections.abc import Iterator

from sqlalchemy import Connection

from ..app.measures import Measure, Reading, Source
from .checks import DEEP, SERVING

PASSED = Measure(
    "backoffice_readiness_passed",
    "Whether a check of /readyz?deep=1 passed (1) or not (0).",
    ("check",),
)


def _read(connection: Connection) -> Iterator[Reading]:
    for name, check in {**SERVING, **DEEP}.items():
        yield PASSED.is_now(0 if check(connection) else 1, name)


SOURCES = (Source("readiness", (PASSED,), _read),)
