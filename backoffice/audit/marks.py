"""Which rows of a table differ from the trail: in one pass over what is newer than the table's mark.

`verify-facts` leaves a mark. A row that is written later has a newer `xmin`, with its triggers or without, and an event
of it has a later transaction. A row that was removed without its triggers has neither: the number of rows tells.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Text, case, cast, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from ..base import table_of
from .chain.records import EVENTS, next_to_come, oldest_running, system_identifier, xid_of
from .facts import Facts, Forgery, in_utc
from .models import FactMark

MARKS = table_of(FactMark)

OLDEST = 2_000_000_000
"""Transactions after which a mark is of no use: the age of a row's `xmin` is known up to 2^31."""

LONGEST_ID = 18
"""Digits of a row's id in an event, above which it is no row's."""

AT_ONCE = 10_000
"""Rows that are compared in one statement."""


@dataclass(frozen=True)
class Mark:
    """Up to where a table was compared; see `FactMark`."""

    horizon: int
    system: int
    rows: int


def begun(connection: Connection, tables: Collection[Facts]) -> Mapping[str, Mark]:
    """By table, the mark of a comparison that begins now, valid once every row has been compared.

    The horizon is read first: what commits afterwards is newer.
    """
    place = select(_number(oldest_running()), system_identifier())
    horizon, system = connection.execute(place).one()
    return {
        facts.name: Mark(horizon, system, _rows_before(connection, facts, horizon))
        for facts in tables
        if facts.comparison.audited.kept is None  # of derived rows most have no events
    }


def record(connection: Connection, marks: Mapping[str, Mark]) -> None:
    """Store these marks in place of the earlier ones."""
    for table, mark in marks.items():
        values = {
            "horizon": xid_of(mark.horizon),
            "system": mark.system,
            "rows": mark.rows,
            "at": func.now(),
        }
        added = upsert(MARKS).values(table_name=table, **values)
        connection.execute(added.on_conflict_do_update(index_elements=["table_name"], set_=values))


def of(connection: Connection, table: str) -> Mark | None:
    """The table's mark; None before its first verification."""
    found = select(_number(MARKS.c.horizon), MARKS.c.system, MARKS.c.rows).where(
        MARKS.c.table_name == table
    )
    row = connection.execute(found).first()
    return None if row is None else Mark(*row)


def differing(
    connection: Connection,
    facts: Facts,
    columns: frozenset[str],
    mark: Mark | None,
    known: Collection[int],
) -> list[Forgery]:
    """The rows of the table that differ from the trail in these columns, in a snapshot. `known`: found up to the mark.

    Any further difference, or a mark that does not fit, leads to one comparison of the whole table.
    """
    with in_utc(connection):
        if mark is not None and _fits(connection, facts, mark):
            newer = _ids(facts.comparison.newer.rows(connection, **_bounds(mark)))
            found = _forged(facts.forged, connection, newer | set(known))
            if {forgery.id for forgery in found} <= set(known):
                return found
        suspects = _ids(facts.comparison.of_all(columns).rows(connection))
        return _forged(facts.forged_among, connection, suspects | set(known))


def _fits(connection: Connection, facts: Facts, mark: Mark) -> bool:
    """Whether the mark is of this cluster and young enough, and no row is missing without an event."""
    now, system = connection.execute(select(_number(next_to_come()), system_identifier())).one()
    if system != mark.system or not mark.horizon <= now < mark.horizon + OLDEST:
        return False
    emptied = select(EVENTS.c.id).where(*_since(facts, mark.horizon), EVENTS.c.row_id.is_(None))
    if connection.execute(emptied.limit(1)).first() is not None:
        return False
    return _rows_before(connection, facts, mark.horizon) == mark.rows


def _rows_before(connection: Connection, facts: Facts, horizon: int) -> int:
    """How many rows the transactions below the horizon have left: those of now, less what later events say."""
    added = case((EVENTS.c.action == "INSERT", 1), (EVENTS.c.action == "DELETE", -1), else_=0)
    since = select(func.coalesce(func.sum(added), 0)).where(*_since(facts, horizon))
    rows = select(func.count()).select_from(facts.table).scalar_subquery()
    return int(connection.execute(select(rows - since.scalar_subquery())).scalar_one())


def _since(facts: Facts, horizon: int) -> tuple[ColumnElement[bool], ...]:
    return EVENTS.c.table_name == facts.name, EVENTS.c.xid >= xid_of(horizon)


def _bounds(mark: Mark) -> Mapping[str, str]:
    return {"horizon": str(mark.horizon), "lowest": str(mark.horizon % 2**32)}


def _ids(rows: Iterable[tuple[str]]) -> set[int]:
    return {int(row) for (row,) in rows if row.isdigit() and len(row) <= LONGEST_ID}


def _forged(
    compare: Callable[[Connection, list[int]], list[Forgery]],
    connection: Connection,
    ids: Collection[int],
) -> list[Forgery]:
    """The rows that differ, compared a page at a time."""
    ordered = sorted(ids)
    pages = (ordered[i : i + AT_ONCE] for i in range(0, len(ordered), AT_ONCE))
    return [forgery for page in pages for forgery in compare(connection, page)]


def _number(xid: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(cast(xid, Text), BigInteger)
