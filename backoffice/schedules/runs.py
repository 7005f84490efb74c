"""The kinds of runs that schedules declare: the daily summary, and the database routine."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection

from ..base import N_, periods
from ..runs.kinds import RunKind
from ..runs.wording import Reason
from ..runs.work import Asked, Chunk, Work
from . import routine
from .summary import summary

REASONS = tuple(map(Reason, (routine.UNUSED, routine.BLOATED, routine.SLOW, routine.ALIKE)))


def _nothing(_connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    """No chunks: a summary has no items; it is computed when the run ends."""
    yield from ()


def _no_work(_work: Work) -> None:
    pass


def _summarise(connection: Connection, asked: Asked) -> Mapping[str, Any]:
    given = asked.scope.get("day")
    yesterday = periods.today() - timedelta(days=1)
    return summary(connection, date.fromisoformat(given) if given else yesterday)


SUMMARY = RunKind(
    "summary.daily", N_("Daily summary"), "schedules.run",
    _nothing, _no_work, finish=_summarise,
)  # fmt: skip

ROUTINE = RunKind(
    "database.routine", N_("Database routine"), "schedules.run",
    routine.plan, routine.work, finish=routine.result,
)  # fmt: skip

KINDS = (SUMMARY, ROUTINE)
