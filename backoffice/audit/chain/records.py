"""Events as they are sealed: every column of a row, length-prefixed, exactly as PostgreSQL sends it.

A row of COPY's binary format is the number of columns, then each column's length and bytes (−1 for
NULL): no two rows share it. Numbers and times are binary, documents the text that PostgreSQL keeps,
so nothing depends on a setting, a driver or a language.
"""

import hmac
from collections.abc import Iterator
from typing import Any

import psycopg
from sqlalchemy import ColumnElement, Connection, Select, Text, cast, func, select

from ...base import table_of
from ...figures.models import Xid8
from ..models import AuditEvent

EVENTS = table_of(AuditEvent)

COLUMNS = (
    "id", "xid", "at", "actor", "db_user", "table_name", "row_id", "action", "before", "after",
)  # fmt: skip
"""What is sealed of an event: everything, in this order."""

DIGEST_SIZE = 16
"""Bytes kept of an event's digest: half of an HMAC-SHA256, which is beyond anybody's guessing."""

_HEADER = len(b"PGCOPY\n\xff\r\n\0") + 4 + 4
_TRAILER = b"\xff\xff"
_ID, _XID = slice(6, 14), slice(18, 26)
"""Where these stand in a row: each after its length, the first after the number of columns."""


def events() -> Select[Any]:
    """The events, as they are sealed; whoever asks says which, and in what order."""
    return select(*(EVENTS.c[name] for name in COLUMNS))


def records_of(connection: Connection, statement: Select[Any]) -> Iterator[tuple[int, bytes]]:
    """Id and record of each event that `statement`, made of `events()`, asks for."""
    compiled = statement.compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    query = f"COPY ({compiled}) TO STDOUT (FORMAT binary)"
    start = _HEADER
    # A plain cursor: the app's own would note a write. libpq hands over one row at a time.
    with psycopg.Cursor(driver) as cursor, cursor.copy(query, compiled.params) as copy:
        for data in copy:
            record = bytes(data)[start:]
            start = 0
            if record != _TRAILER:
                yield int.from_bytes(record[_ID]), record


def xid_in(record: bytes) -> int:
    """The transaction that wrote an event, from its record."""
    return int.from_bytes(record[_XID])


def digest_of(record: bytes, key: bytes) -> bytes:
    """What a seal keeps of an event."""
    return hmac.digest(key, record, "sha256")[:DIGEST_SIZE]


def xid_of(number: int) -> ColumnElement[Any]:
    """A transaction's number as PostgreSQL's own type, so that an index can be used."""
    return cast(cast(str(number), Text), Xid8)


def oldest_running() -> ColumnElement[Any]:
    """The id of the oldest transaction that is still running; every earlier one has ended, and is seen."""
    return func.pg_snapshot_xmin(func.pg_current_snapshot(), type_=Xid8())


def next_to_come() -> ColumnElement[Any]:
    """An id above that of every transaction that is seen."""
    return func.pg_snapshot_xmax(func.pg_current_snapshot(), type_=Xid8())
