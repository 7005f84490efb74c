"""A list as CSV: PostgreSQL writes the rows (COPY), in constant memory.

RFC 4180 with CRLF. Cells are formed in PostgreSQL too: a *text* that a spreadsheet would read as a formula gets a
leading apostrophe, which the import removes; numbers stay numbers. Totals and rows are read in one snapshot, so the
control totals at the end equal the sums of the rows above them exactly.
"""

import csv
from collections.abc import Generator, Mapping, Sequence
from decimal import Decimal
from io import StringIO
from typing import Any, NamedTuple

import psycopg
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Connection, Integer, Select, Text, and_, case, cast, func, or_

from ..base import periods
from ..base.formula_guard import FORMULA_STARTS, guarded
from .declaration import Column
from .queries import matching, order_of
from .state import State

BYTE_ORDER_MARK = "\ufeff".encode()
BLOCK = 64 * 1024
"""The least number of bytes sent at a time."""

_STARTS = tuple(ord(character) for character in FORMULA_STARTS if character != "\0")
_GUARD = ord("'")
_FORMULA_AFTER_GUARD = "^'+[-=+@\t\r\n]"


class Flavour(NamedTuple):
    """The cell separator and the decimal point."""

    delimiter: str
    point: str


FLAVOURS: Mapping[str, Flavour] = {"csv": Flavour(",", "."), "csv-id": Flavour(";", ",")}
"""`csv` for programs; `csv-id` for Excel with Indonesian settings."""


def rows_of(
    connection: Connection,
    statement: Select[Any],
    flavour: Flavour,
    parameters: Mapping[str, Any] | None = None,
) -> Generator[bytes]:
    """The rows of `statement`, one column per cell, in blocks of whole lines.

    `parameters` are the values of the statement's bound parameters. COPY ends lines with LF and sends each row
    separately; RFC 4180 requires CRLF.
    """
    compiled = statement.compile(dialect=connection.dialect)
    complete = compiled.construct_expanded_state(dict(parameters or {}))
    query = (
        f"COPY ({complete.statement}) TO STDOUT "
        f"(FORMAT csv, DELIMITER '{flavour.delimiter}', ENCODING 'UTF8')"
    )
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    block = bytearray()
    # A plain cursor: the app's own would note a write, and this transaction is read-only.
    with psycopg.Cursor(driver) as cursor, cursor.copy(query, complete.parameters) as copy:
        for row in copy:
            block += row
            block[-1:] = b"\r\n"
            if len(block) >= BLOCK:
                yield bytes(block)
                block.clear()
    yield bytes(block)


def cells_of(user: Any, state: State, columns: Sequence[Column], flavour: Flavour) -> Select[Any]:
    """The SELECT of the list's rows as cells, in the list's order."""
    cells = [cell_of(column, flavour).label(column.name) for column in columns]
    rows = matching(user, state)
    return rows.with_only_columns(*cells).order_by(*order_of(rows, state))


def line_of(cells: Sequence[str | Decimal | int], flavour: Flavour) -> bytes:
    """One line of a CSV file; texts are guarded, numbers written with the flavour's point."""
    line = StringIO()
    writer = csv.writer(line, delimiter=flavour.delimiter, lineterminator="\r\n")
    writer.writerow(
        guarded(cell) if isinstance(cell, str) else str(cell).replace(".", flavour.point)
        for cell in cells
    )
    return line.getvalue().encode()


def cell_of(column: Column, flavour: Flavour) -> ColumnElement[Any]:
    """A column as a cell, formed in PostgreSQL."""
    value: ColumnElement[Any] = getattr(column.value, "expression", column.value)
    if column.is_number:
        if column.kind != "money":
            value = func.trim_scale(value)
        return (
            value if flavour.point == "." else func.replace(cast(value, Text), ".", flavour.point)
        )
    if column.kind == "day":
        return value  # formatted by DateStyle, which is set to ISO
    if column.kind == "month":
        return func.to_char(value, "YYYY-MM")
    if column.kind == "moment":
        there = func.timezone(str(periods.timezone()), value)
        return func.to_char(there, "YYYY-MM-DD HH24:MI:SS")
    if column.words:
        named = {stored: guarded(_(word)) for stored, word in column.words.items()}
        return case(named, value=value, else_=_guarded(cast(value, Text)))
    return _guarded(value)


def _guarded(value: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(value.type, Integer):  # a number as a name, which is no formula
        return cast(value, Text)
    # `ascii` first: few texts begin with an apostrophe, and a regular expression costs more.
    begins = func.ascii(value)
    is_guarded = and_(begins == _GUARD, value.regexp_match(_FORMULA_AFTER_GUARD))
    return case((or_(begins.in_(_STARTS), is_guarded), func.concat("'", value)), else_=value)
