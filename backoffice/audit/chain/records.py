"""Events as they are sealed: every column of a row, length-prefixed, exactly as PostgreSQL sends it.

A row of COPY's binary format is the number of columns, then each column's length and bytes (−1 for NULL): no two rows
share it. Numbers and times are binary, documents the text that PostgreSQL keeps, so the bytes depend on no setting,
driver or language.
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
"""The columns of an event that are sealed: all of them, in this order."""

DIGEST_SIZE = 16
"""Bytes kept of an event's digest: half of an HMAC-SHA256, which is infeasible to guess."""

_HEADER = len(b"PGCOPY\n\xff\r\n\0") + 4 + 4
_TRAILER = b"\xff\xff"
_ID, _XID = slice(6, 14), slice(18, 26)
"""The positions of id and xid in a row, each after its length; the first after the number of columns."""


def events() -> Select[Any]:
    """The query of events as they are sealed; the caller adds the filter and the order."""
    return select(*(EVENTS.c[name] for name in COLUMNS))


def records_of(connection: Connection, statement: Select[Any]) -> Iterator[tuple[int, bytes]]:
    """Id and record of each event that `statement` (built on `events()`) selects."""
    compiled = statement.compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    query = f"COPY ({compiled}) TO STDOUT (FORMAT binary)"
    start = _HEADER
    # A plain cursor: the app's own would note a write. libpq returns one row at a time.
    with psycopg.Cursor(driver) as cursor, cursor.copy(query, compiled.params) as copy:
        for data in copy:
            record = bytes(data)[start:]
            start = 0
            if record != _TRAILER:
                yield int.from_bytes(record[_ID]), record


def xid_in(record: bytes) -> int:
    """The id of the transaction that wrote an event, from its record."""
    return int.from_bytes(record[_XID])


def digest_of(record: bytes, key: bytes) -> bytes:
    """The digest that a seal holds of an event."""
    return hmac.digest(key, record, "sha256")[:DIGEST_SIZE]


def xid_of(number: int) -> ColumnElement[Any]:
    """A transaction's number as PostgreSQL's xid8, so that an index can be used."""
    return cast(cast(str(number), Text), Xid8)


def oldest_running() -> ColumnElement[Any]:
    """The id of the oldest running transaction; every earlier one has ended and is visible."""
    return func.pg_snapshot_xmin(func.pg_current_snapshot(), type_=Xid8())


def next_to_come() -> ColumnElement[Any]:
    """An id above that of every visible transaction."""
    return func.pg_snapshot_xmax(func.pg_current_snapshot(), type_=Xid8())


def system_identifier() -> ColumnElement[int]:
    """The system identifier of this database cluster."""
    control = func.pg_control_system().table_valued("system_identifier", name="control")
    return select(control.c.system_identifier).scalar_subquery()
