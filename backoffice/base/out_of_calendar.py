"""Dates and timestamps outside the app's calendar: refused by CHECKs, and still readable where one is stored.

PostgreSQL's calendar is wider than Python's: it has `infinity`, years BC and the year 20000. psycopg raises on each of
them, so one such value, written past the CHECKs or before there were any, would break every screen that reads its row.
Here it is read as a day at the edge of the calendar that is displayed and stored again as PostgreSQL wrote it.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Engine,
    MetaData,
    Table,
    event,
    false,
    func,
    not_,
    or_,
)
from sqlalchemy import text as text_of
from sqlalchemy.exc import IntegrityError

from .periods import FIRST_DAY, LAST_DAY

FIRST_MOMENT = datetime.combine(FIRST_DAY - timedelta(days=1), time(), UTC)
END_OF_MOMENTS = datetime.combine(LAST_DAY + timedelta(days=2), time(), UTC)
"""Between these two moments it is one of the allowed days in some time zone."""


class DayOutOfCalendar(date):
    """A stored date outside the calendar. It compares and computes as the edge that it is beyond."""

    written: str

    @classmethod
    def beyond(cls, edge: date, written: str) -> "DayOutOfCalendar":
        """The day at that edge, displayed as `written`."""
        day = cls(edge.year, edge.month, edge.day)
        day.written = written
        return day

    def isoformat(self) -> str:
        """What is stored, as PostgreSQL writes it."""
        return getattr(self, "written", super().isoformat())

    def strftime(self, _format: str) -> str:
        """The same: no pattern fits it."""
        return self.isoformat()

    __str__ = isoformat


class MomentOutOfCalendar(datetime):
    """A stored timestamp outside the calendar; see DayOutOfCalendar."""

    written: str

    @classmethod
    def beyond(cls, edge: datetime, written: str) -> "MomentOutOfCalendar":
        """The moment at that edge, displayed as `written`."""
        moment = cls.combine(edge.date(), edge.timetz())
        moment.written = written
        return moment

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        """What is stored, as PostgreSQL writes it."""
        return getattr(self, "written", super().isoformat(sep, timespec))

    def strftime(self, _format: str) -> str:
        """The same: no pattern fits it."""
        return self.isoformat()

    def __str__(self) -> str:
        return self.isoformat(" ")


def is_out_of_calendar(value: object) -> bool:
    """Whether this was read from a value outside the calendar."""
    return isinstance(value, DayOutOfCalendar | MomentOutOfCalendar) and hasattr(value, "written")


Edge = TypeVar("Edge", date, datetime)


def _tolerant(
    kind: str, first: Edge, end: Edge, beyond: Callable[[Edge, str], Edge]
) -> type[Loader]:
    """A loader of that type that wraps psycopg's own, and reads values outside the range by `beyond`."""
    oid = psycopg.adapters.types[kind].oid
    strict = cast(type[Loader], psycopg.adapters.get_loader(oid, Format.TEXT))

    class Tolerant(Loader):
        """Loads values in the calendar as psycopg does, and others as written."""

        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = strict(oid, context).load

        def load(self, data: Buffer) -> Any:
            """The value; never raises."""
            try:
                value = self._load(data)
            except psycopg.DataError:
                value = None
            if value is not None and first <= value <= end:
                return value
            written = bytes(data).decode()
            is_early = _is_before_christ(written) or (value is not None and value < first)
            return beyond(first if is_early else end, written)

    return Tolerant


def _is_before_christ(written: str) -> bool:
    return written.startswith("-") or written.endswith("BC")


def stored_day(text: str) -> date:
    """The day of a recorded text, also outside the calendar, as the loaders read it."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return DayOutOfCalendar.beyond(FIRST_DAY if _is_before_christ(text) else LAST_DAY, text)
    if FIRST_DAY <= day <= LAST_DAY:
        return day
    return DayOutOfCalendar.beyond(FIRST_DAY if day < FIRST_DAY else LAST_DAY, text)


def stored_moment(text: str) -> datetime:
    """The timestamp of a recorded text, likewise."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        edge = FIRST_MOMENT if _is_before_christ(text) else END_OF_MOMENTS
        return MomentOutOfCalendar.beyond(edge, text)


_LOADERS = {
    "date": _tolerant("date", FIRST_DAY, LAST_DAY, DayOutOfCalendar.beyond),
    "timestamptz": _tolerant(
        "timestamptz", FIRST_MOMENT, END_OF_MOMENTS, MomentOutOfCalendar.beyond
    ),
    "timestamp": _tolerant(
        "timestamp",
        FIRST_MOMENT.replace(tzinfo=None),
        END_OF_MOMENTS.replace(tzinfo=None),
        MomentOutOfCalendar.beyond,
    ),
}


class _AsWritten(Dumper):
    """Sends a value outside the calendar back as it was read."""

    def dump(self, value: Any) -> bytes:
        return str(value.isoformat()).encode()


class _DayAsWritten(_AsWritten):
    oid = 1082


class _MomentAsWritten(_AsWritten):
    oid = 1184


def read_all(engine: Engine) -> None:
    """Make every connection of the engine read such values instead of raising."""
    event.listen(engine, "connect", lambda connection, _record: _adapt(connection.adapters))


def _adapt(adapters: Any) -> None:
    for kind, loader in _LOADERS.items():
        adapters.register_loader(kind, loader)
    adapters.register_dumper(DayOutOfCalendar, _DayAsWritten)
    adapters.register_dumper(MomentOutOfCalendar, _MomentAsWritten)


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


def strays(table: Table, *columns: Column[Any]) -> ColumnElement[bool]:
    """The condition of rows with such a value, in one of these columns or in any."""
    dated = columns or [column for column in table.columns if is_dated(column)]
    return or_(*(func.coalesce(not_(c.between(*_range_of(c))), false()) for c in dated))


def unguarded(connection: Connection, tables: Iterable[Table]) -> list[Table]:
    """The tables that may have such values, because their CHECK is missing or was never validated."""
    guarded = {row.table for row in _checks(connection) if row.is_valid}
    return [table for table in tables if table.name not in guarded]


def sync(connection: Connection, metadata: MetaData) -> list[str]:
    """Add every table's CHECK, as the owner; answers the names of tables with rows that violate it.

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
            violated.append(table.name)
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


def _run(connection: Connection, statement: str) -> None:
    connection.execute(text_of(statement.replace(":", "\\:")))
