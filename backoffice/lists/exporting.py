"""A list as a file: exactly the filtered rows, and a footer with the filter, the user, the time and the totals."""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, request, send_file
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from ..app.extensions import db
from ..app.protection import limiter
from ..base import periods
from ..security.permissions import requires
from ..web.formats import quantity_filter
from . import csv_files, queries, workbooks
from .csv_files import BYTE_ORDER_MARK, FLAVOURS, Flavour
from .declaration import Column, List
from .footers import DOUBT, ROWS, Line, footer_of
from .marking import marked
from .queries import Totals
from .state import State, state_of
from .wording import in_words

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

PROGRAMS = "csv"
"""The flavour for programs, which has no totals."""

LONGEST = "15min"
"""How long an export may keep its snapshot: enough for a slow connection to read it."""

limited: Callable[[Callable[..., Any]], Callable[..., Any]] = limiter.shared_limit(
    "20 per minute; 300 per hour",
    scope="exports",
    key_func=lambda: f"user {current_user.get_id()}",
)
"""The rate limit of export views: one count per user over all lists."""


def export(listing: List, flavour: str) -> Response:
    """The list that the address describes, as a file; `flavour` is a key of `FLAVOURS`, or `xlsx`.

    Files for people end with totals and a footer. A file for programs has neither. With `totals=only` a file has the
    totals alone.
    """
    if flavour not in FLAVOURS and flavour != "xlsx":
        abort(404)
    state = _in_files(state_of(listing, request.args))
    columns = [state.listing.column(name) for name in state.columns]
    has_rows = request.args.get("totals") != "only"
    connection = _snapshot()
    try:
        if flavour == "xlsx":
            return _workbook(connection, state, columns, has_rows)
        return _csv(connection, state, columns, flavour, has_rows)
    except BaseException:
        connection.close()
        raise


def _in_files(state: State) -> State:
    """The state as files have it: with the rows of files, and with the code of each record beside its name."""
    listing = state.listing.for_files(state) if state.listing.for_files else state.listing
    names = list(state.columns)
    for name in state.columns:
        code = listing.column(name).code
        if code and code not in names:
            names.insert(names.index(name) + 1, code)
    return replace(state, listing=listing, columns=tuple(names))


def _footer(
    connection: Connection,
    state: State,
    columns: Sequence[Column],
    totals: Totals,
    doubted: Collection[str],
) -> Sequence[Line]:
    """The lines at the end of a file for people."""
    with Session(connection) as session:
        filtered = in_words(session, current_user, state)
    by = current_user.name
    return list(footer_of(columns, totals, filtered=filtered, by=by, doubted=doubted))


def _totals(
    connection: Connection, state: State, columns: Sequence[Column]
) -> tuple[Totals, Collection[str]]:
    """The totals, and the names of the columns with amounts that are known to be wrong."""
    numbers = [column for column in columns if column.is_number]
    totals = queries.totals_of(connection, current_user, state)
    return totals, marked(connection, current_user, state, numbers, whole=numbers).whole


def _totals_alone(
    connection: Connection, state: State, columns: Sequence[Column]
) -> tuple[Line, Line]:
    """The head and the one line of a file for programs with the totals alone."""
    totals, doubted = _totals(connection, state, columns)
    summed = [column for column in columns if column.total]
    names = [_(column.label) for column in columns if column.name in doubted]
    return (
        [_(ROWS), *(_(column.label) for column in summed), _(DOUBT)],
        [totals.count, *(totals.sums[column.name] for column in summed), ", ".join(names)],
    )


def add_export(
    bp: Blueprint, rule: str, endpoint: str, permission: str, listing: Callable[..., List]
) -> None:
    """Add an export route to `bp` for users with the permission; `listing` takes the arguments of the path."""

    def view(flavour: str, **named: Any) -> Response:
        """The list as a file."""
        return export(listing(**named), flavour)

    bp.add_url_rule(rule, endpoint, requires(permission)(limited(view)), methods=["GET"])


def _snapshot() -> Connection:
    """A separate connection with one snapshot, so that everything read over it is consistent."""
    connection = db.engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    )
    connection.execute(
        text("SELECT set_config('statement_timeout', :longest, true)"), {"longest": LONGEST}
    )
    connection.execute(text("SELECT set_config('datestyle', 'ISO, YMD', true)"))
    return connection


def _csv(
    connection: Connection, state: State, columns: Sequence[Column], flavour: str, has_rows: bool
) -> Response:
    style = FLAVOURS[flavour]
    head: Line = [_(column.label) for column in columns]
    footer: Sequence[Line] = ()
    if flavour != PROGRAMS:
        footer = _footer(connection, state, columns, *_totals(connection, state, columns))
    elif not has_rows:
        head, *footer = _totals_alone(connection, state, columns)
    cells = csv_files.cells_of(current_user._get_current_object(), state, columns, style)
    rows = csv_files.rows_of(connection, cells, style) if has_rows else (b"" for _none in "1")
    blocks = _blocks(connection, [head], rows, footer, style)
    first = next(blocks)  # so that an error of PostgreSQL gives an error page, not a truncated file

    def all_of_it() -> Iterator[bytes]:
        yield first
        yield from blocks

    response = Response(all_of_it(), mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=_file_name(state, "csv"))
    response.call_on_close(blocks.close)  # also when the browser disconnects
    return response


def _blocks(
    connection: Connection,
    head: Sequence[Line],
    rows: Generator[bytes],
    footer: Sequence[Line],
    style: Flavour,
) -> Generator[bytes]:
    def lines(cells: Sequence[Line]) -> bytes:
        return b"".join(csv_files.line_of(line, style) for line in cells)

    with closing(connection), closing(rows):
        yield BYTE_ORDER_MARK + lines(head) + next(rows)
        yield from rows
        yield lines(footer)


def _workbook(
    connection: Connection, state: State, columns: Sequence[Column], has_rows: bool
) -> Response:
    totals, doubted = _totals(connection, state, columns)
    if has_rows and totals.count > workbooks.MOST_ROWS:
        count, most = quantity_filter(totals.count), quantity_filter(workbooks.MOST_ROWS)
        raise workbooks.TooManyRows(count=count, most=most)
    footer = _footer(connection, state, columns, totals, doubted)
    matching = queries.matching(current_user, state)
    order = queries.order_of(matching, state)
    statement = matching.with_only_columns(*(column.value for column in columns)).order_by(*order)
    rows = (
        [_plain(column, value) for column, value in zip(columns, row, strict=True)]
        for row in (connection.execute(statement) if has_rows else ())
    )
    heads = [(column, _(column.label)) for column in columns]
    file = workbooks.workbook_of(_(state.listing.title), heads, rows, footer)
    connection.close()
    return send_file(
        file, mimetype=XLSX, as_attachment=True, download_name=_file_name(state, "xlsx")
    )


def _plain(column: Column, value: Any) -> Any:
    """A value for a workbook: labelled; a moment in the business time zone, to the second, without the zone."""
    if column.words and value in column.words:
        return _(column.words[value])
    if isinstance(value, datetime):
        return value.astimezone(periods.timezone()).replace(tzinfo=None, microsecond=0)
    return value


def _file_name(state: State, ending: str) -> str:
    return f"{state.listing.name}-{periods.today().isoformat()}.{ending}"
