"""Facts compared with the trail: the current rows beside the state that their events add up to.

A row's events are folded: from its INSERT on, the last value of each column counts, up to a DELETE or a TRUNCATE.
Events of one row are in the order of their ids, whatever their transactions: each was written while its row was
locked. (The trail is sealed in another order; see `sealing`.) An event commits with its row, so reading both in one
snapshot shows no false difference.

A column that the trail does not mention is not compared: the row is older than the column, or it held no entered
amount. Of secrets the trail holds no value.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from json import loads
from typing import Any, Final, Literal

import psycopg
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    MetaData,
    func,
    literal,
    select,
)

from ..base import Base
from ..database.grants import PRIVILEGES, WORK
from ..figures.computing.registry import Registry, registry
from .chain.records import EVENTS
from .comparison import Comparison
from .scope import AuditedTable, audited_tables

CHANGED: Final = "changed"
ADDED: Final = "added"
REMOVED: Final = "removed"
Kind = Literal["changed", "added", "removed"]

ROWS_AT_A_TIME = 2_000
"""Rows of a table compared in one snapshot; takes some tenths of a second."""

EVENTS_AT_A_TIME = 50_000
"""Events searched for deleted rows in one snapshot."""

Values = Mapping[str, Any]
"""Column → value, amounts as strings."""


@dataclass(frozen=True)
class Forgery:
    """One row that differs from the trail: `changed`, `added` or `removed` without an event.

    `row` holds the row's values and `trail` the trail's, of the columns that differ; for a row that was added or
    removed, all values of the side that exists. `whole` holds every known value of the row, `document` the trail's as
    JSON.
    """

    table: str
    id: int
    kind: Kind
    row: Values
    trail: Values
    whole: Values
    document: str = field(default="{}", repr=False)

    @property
    def columns(self) -> frozenset[str]:
        """The columns that differ."""
        return frozenset({*self.row, *self.trail})


class Facts:
    """The facts of one audited table."""

    def __init__(self, audited: AuditedTable) -> None:
        self.table = audited.table
        self.name = audited.table.name
        self.key: Column[Any] = next(iter(audited.table.primary_key))
        self.comparison = Comparison(audited)
        self.columns = self.comparison.columns

    def forged(self, connection: Connection, ids: Collection[int]) -> list[Forgery]:
        """The rows with these ids, existing or not, that differ from the trail; in id order."""
        if not ids:
            return []
        with in_utc(connection):
            suspects = self.comparison.suspects.run(connection, ids=sorted(set(ids))).scalars()
            return self.forged_among(connection, suspects.all())

    def forged_among(self, connection: Connection, suspects: Collection[int]) -> list[Forgery]:
        """As `forged`, for rows that are not at once seen to agree with the trail: each is compared in full."""
        if not suspects:
            return []
        with in_utc(connection):
            found = self.comparison.differing.run(connection, ids=sorted(suspects)).mappings().all()
        return [self._forgery(row) for row in found]

    def gone(self, connection: Connection, low: int, high: int) -> list[int]:
        """The ids of missing rows that the events from `low` to `high` mention.

        Most were deleted with an event; `forged` returns those that were not.
        """
        return list(self.comparison.missing.run(connection, low=low, high=high).scalars())

    def next_ids(
        self, connection: Connection, after: int, size: int = ROWS_AT_A_TIME
    ) -> tuple[int, int] | None:
        """The last id and the number of the next rows by id; None if there are no more."""
        ids = select(self.key.label("id")).where(self.key > _big(after)).order_by(self.key)
        page = ids.limit(size).subquery()
        high, count = connection.execute(select(func.max(page.c.id), func.count())).one()
        return None if count == 0 else (high, count)

    def ids_between(self, connection: Connection, low: int, high: int) -> list[int]:
        """The ids of the existing rows from `low` to `high`."""
        return list(
            connection.scalars(select(self.key).where(self.key.between(_big(low), _big(high))))
        )

    def _forgery(self, found: Mapping[Any, Any]) -> Forgery:
        row = _read(found["row"])
        trail = {name: value for name, value in _read(found["trail"]).items() if _is_known(value)}
        kind: Kind = CHANGED
        if not found["is_there"]:
            kind, row = REMOVED, {}
        elif not found["is_entered"]:
            kind, trail = ADDED, {}
        whole = {**trail, **row}
        if kind == CHANGED:
            row, trail = ({name: side[name] for name in found["apart"]} for side in (row, trail))
        return Forgery(self.name, found["id"], kind, row, trail, whole, found["trail"] or "{}")


def facts_by_table(
    metadata: MetaData = Base.metadata, figures: Registry = registry
) -> Mapping[str, Facts]:
    """By table name, the facts of every audited table with entered rows that the app may read."""
    known = _KNOWN.get((metadata, figures))
    if known is None:
        known = {
            audited.table.name: Facts(audited)
            for audited in audited_tables(metadata, figures)
            if audited.is_entered and "SELECT" in PRIVILEGES.get(audited.table.name, WORK)
        }
        _KNOWN[metadata, figures] = known
    return known


_KNOWN: dict[tuple[MetaData, Registry], Mapping[str, Facts]] = {}
"""Cache, filled once: nothing is declared after start-up."""


def last_event(connection: Connection) -> int:
    """The highest id of a visible event."""
    return connection.scalar(select(func.max(EVENTS.c.id))) or 0


@contextmanager
def in_utc(connection: Connection) -> Iterator[None]:
    """Read timestamps in UTC, as the trail holds them, whatever the connection's time zone."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    zone = driver.info.parameter_status("TimeZone")  # PostgreSQL notifies the driver of each change
    if zone == "UTC":
        yield
        return
    connection.execute(select(func.set_config("TimeZone", "UTC", True)))
    yield
    connection.execute(select(func.set_config("TimeZone", zone, True)))


def _big(number: int) -> ColumnElement[int]:
    """A number possibly beyond the key's type, so that it can be compared although no row has it."""
    return literal(number, BigInteger)


def _read(document: str | None) -> dict[str, Any]:
    read: dict[str, Any] = {} if document is None else loads(document, parse_float=str)
    return read


def _is_known(value: Any) -> bool:
    return bool(value != {"gone": True})
