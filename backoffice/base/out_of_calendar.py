"""Dates and timestamps outside the app's calendar: refused by CHECKs; where one is stored all the same, it is clamped.

PostgreSQL's calendar is wider than Python's: it has `infinity`, years BC and the year 20000. psycopg raises on each of
them, so one such value, written past the CHECKs or before there were any, would break every screen that reads its row.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    MetaData,
    Result,
    Table,
    event,
)
from sqlalchemy import text as text_of
from sqlalchemy.exc import IntegrityError

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


def sync(connection: Connection, metadata: MetaData) -> list[str]:
    """Add every table's CHECK, as the owner; answers the tables with rows that violate it, and some of these rows.

    A CHECK applies to new values at once; it is validated once no old row violates it, by this or a later upgrade. So a
    book with a bad date can still be upgraded.
    """
    known = {row.table: row for row in _checks(connection)}
    violated = []
    for table in metadata.sorted_tables:
        check, found = calendar_check(table), known.get(table.name)
        if check is None:
            continue
        name = f"ck_{table.name}_in_calendar"
        columns = sorted(c.name for c in table.columns if is_dated(c))
        if found is None or sorted(found.columns) != columns:
            _run(connection, f"ALTER TABLE {table.name} DROP CONSTRAINT IF EXISTS {name}")
            _run(
                connection,
                f"ALTER TABLE {table.name} ADD CONSTRAINT {name} CHECK ({check.sqltext}) NOT VALID",
            )
        elif found.is_valid:
            continue
        if not _is_valid_now(connection, table.name, name):
            violated.append(f"{table.name} ({_some(connection, table, check)})")
    return violated


_CHECKS = """
SELECT conrelid::regclass::text AS "table", convalidated AS is_valid,
       array(SELECT attname::text FROM pg_attribute
             WHERE attrelid = conrelid AND attnum = ANY (conkey)) AS columns
FROM pg_constraint
WHERE contype = 'c' AND conname LIKE :name AND connamespace = 'public'::regnamespace
"""


def _checks(connection: Connection) -> Sequence[Any]:
    return connection.execute(text_of(_CHECKS), {"name": "ck\\_%\\_in\\_calendar"}).all()


def _is_valid_now(connection: Connection, table: str, name: str) -> bool:
    try:
        with connection.begin_nested():
            _run(connection, f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    except IntegrityError:
        return False
    return True


def _some(connection: Connection, table: Table, check: CheckConstraint) -> str:
    """The keys of the first rows that violate the CHECK."""
    key = next(iter(table.primary_key)).name
    rows = f"SELECT {key} FROM {table.name} WHERE NOT ({check.sqltext}) ORDER BY 1 LIMIT 4"  # noqa: S608 (our names)
    keys = [str(row[0]) for row in _run(connection, rows)]
    return ", ".join([f"{key} {keys[0]}", *keys[1:3], *(["…"] if len(keys) > 3 else [])])


def _run(connection: Connection, statement: str) -> Result[Any]:
    return connection.execute(text_of(statement.replace(":", "\\:")))
