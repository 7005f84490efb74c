"""Dates and timestamps outside the app's calendar: refused by CHECKs; where one is stored all the same, it is clamped.

PostgreSQL's calendar is wider than Python's: it has `infinity`, years BC and the year 20000. psycopg raises on each of
them, so one such value, written past the CHECKs or before there were any, would break every screen that reads its row.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Engine,
    Table,
    event,
)

from .periods import FIRST_DAY, LAST_DAY

FIRST_MOMENT = datetime.combine(FIRST_DAY - timedelta(days=1), time(), UTC)
END_OF_MOMENTS = datetime.combine(LAST_DAY + timedelta(days=2), time(), UTC)
"""Between these two moments it is one of the allowed days in some time zone."""


def _clamping(kind: str, first: date, last: date) -> type[Loader]:
    """A loader of that type that wraps psycopg's own, and clamps its values to the range."""
    oid = psycopg.adapters.types[kind].oid
    strict = cast(type[Loader], psycopg.adapters.get_loader(oid, Format.TEXT))

    class Clamping(Loader):
        """Loads a date or timestamp, clamped."""

        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = strict(oid, context).load

        def load(self, data: Buffer) -> Any:
            """The value in the range; never raises."""
            try:
                return min(max(self._load(data), first), last)
            except psycopg.DataError:
                written = bytes(data)
                return first if written.startswith(b"-") or written.endswith(b"BC") else last

    return Clamping


_NAIVE = FIRST_MOMENT.replace(tzinfo=None), END_OF_MOMENTS.replace(tzinfo=None)
_LOADERS = {
    "date": _clamping("date", FIRST_DAY, LAST_DAY),
    "timestamptz": _clamping("timestamptz", FIRST_MOMENT, END_OF_MOMENTS),
    "timestamp": _clamping("timestamp", *_NAIVE),
}


def read_all(engine: Engine) -> None:
    """Make every connection of the engine clamp such values instead of raising."""
    event.listen(engine, "connect", lambda connection, _record: _adapt(connection.adapters))


def _adapt(adapters: Any) -> None:
    for kind, loader in _LOADERS.items():
        adapters.register_loader(kind, loader)


# The CHECKs


def calendar_check(table: Table) -> CheckConstraint | None:
    """The CHECK that refuses such values in every date and timestamp of the table; None where it has none."""
    conditions = [_in_calendar(c) for c in table.columns if is_dated(c)]
    return CheckConstraint(" AND ".join(conditions), name="in_calendar") if conditions else None


def is_dated(column: Column[Any]) -> bool:
    """Whether a column has dates or timestamps."""
    return isinstance(column.type, Date | DateTime)


def _range_of(column: Column[Any]) -> tuple[date, date]:
    if isinstance(column.type, DateTime):
        return FIRST_MOMENT, END_OF_MOMENTS
    return FIRST_DAY, LAST_DAY


def _in_calendar(column: Column[Any]) -> str:
    low, high = _range_of(column)
    return f"{column.name} BETWEEN '{low}' AND '{high}'"
