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
from functools import cached_property
from json import loads
from typing import Any, Final, Literal

import psycopg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    FromClause,
    MetaData,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, array

from ..base import Base
from ..database.grants import PRIVILEGES, WORK
from ..figures.computing.registry import Registry, registry
from ..figures.computing.statements import Statement
from ..figures.declaring.expressions import replace
from .chain.records import EVENTS
from .scope import AuditedTable, audited_tables

CHANGED: Final = "changed"
ADDED: Final = "added"
REMOVED: Final = "removed"
Kind = Literal["changed", "added", "removed"]

ROWS_AT_A_TIME = 2_000
"""Rows of a table compared in one snapshot; takes some tenths of a second."""

EVENTS_AT_A_TIME = 50_000
"""Events searched for deleted rows in one snapshot."""

_GONE = '{"gone": true}'
"""The value in a folded document of a column no longer recorded; no real column holds such an object."""

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
        self.audited = audited
        self.table = audited.table
        self.name = audited.table.name
        self.key: Column[Any] = next(iter(audited.table.primary_key))

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """The columns compared: facts, and figure columns in the rows where they were entered."""
        return (*self.audited.facts, *self.audited.entered)

    def forged(self, connection: Connection, ids: Collection[int]) -> list[Forgery]:
        """The rows with these ids, existing or not, that differ from the trail; in id order."""
        if not ids:
            return []
        with in_utc(connection):
            found = self._comparison.run(connection, ids=sorted(set(ids))).mappings().all()
        return [self._forgery(row) for row in found]

    def gone(self, connection: Connection, low: int, high: int) -> list[int]:
        """The ids of missing rows that the events from `low` to `high` mention.

        Most were deleted with an event; `forged` returns those that were not.
        """
        return list(self._missing.run(connection, low=low, high=high).scalars())

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

    @cached_property
    def _comparison(self) -> Statement:
        """The rows of `ids` that differ, with both documents and the names of the columns that differ."""
        wanted = func.unnest(bindparam("ids", type_=ARRAY(BigInteger))).table_valued(
            "id", name="wanted"
        )
        wanted = wanted.render_derived()
        trail, row = self._folded(wanted).subquery("trail"), self.table.alias("stored")
        is_there = row.c[self.key.key].is_not(None)
        is_entered = func.coalesce(trail.c.is_entered, False)
        apart = func.array_remove(
            array(list(self._apart(row, trail.c.document))), cast(null(), Text)
        )
        compared = (
            select(
                wanted.c.id.label("id"),
                is_there.label("is_there"),
                is_entered.label("is_entered"),
                case((and_(is_there, is_entered), apart)).label("apart"),
                cast(self._document(row), Text).label("row"),
                cast(trail.c.document, Text).label("trail"),
                self._kept(row).label("is_kept"),
                self._kept_by(trail.c.document).label("was_kept"),
            )
            .select_from(wanted)
            .outerjoin(trail, trail.c.id == wanted.c.id)
            .outerjoin(row, row.c[self.key.key] == wanted.c.id)
        ).subquery("compared")
        c = compared.c
        is_forged = or_(
            and_(c.is_there, not_(c.is_entered), c.is_kept),
            and_(not_(c.is_there), c.is_entered, c.was_kept),
            and_(c.is_there, c.is_entered, func.cardinality(c.apart) > 0),
        )
        return Statement(select(compared).where(is_forged).order_by(c.id))

    def _folded(self, wanted: FromClause) -> Select[Any]:
        """By row: whether it is entered and not deleted, and the document that its events add up to."""
        mine = EVENTS.c.table_name == self.name
        emptied = (
            select(func.max(EVENTS.c.id)).where(mine, EVENTS.c.row_id.is_(None)).scalar_subquery()
        )
        opening = func.max(EVENTS.c.id).filter(EVENTS.c.action != "UPDATE")
        reported = (
            select(
                wanted.c.id.label("row"), EVENTS.c.id, EVENTS.c.action, EVENTS.c.before, EVENTS.c.after,
                opening.over(partition_by=wanted.c.id).label("opened"),
                func.count().over(partition_by=wanted.c.id).label("events"),
            )
            .select_from(wanted)
            .join(EVENTS, and_(mine, EVENTS.c.row_id == cast(wanted.c.id, Text)))
            .where(EVENTS.c.id > func.coalesce(emptied, 0))
        ).subquery("reported")  # fmt: skip
        # Most rows were entered and never changed: their one event already holds the document.
        is_recorded_once = and_(reported.c.events == 1, reported.c.action == "INSERT")
        said = self._said(reported).where(not_(is_recorded_once)).lateral("said")
        last = aggregate_order_by(said.c.value, reported.c.id)
        folded = func.jsonb_object_agg(said.c.key, last).filter(said.c.key.is_not(None))
        only = func.array_agg(reported.c.after).filter(is_recorded_once)
        document = func.coalesce(type_coerce(only, ARRAY(JSONB))[1], folded)
        return (
            select(
                reported.c.row.label("id"),
                self._enters(reported).label("is_entered"),
                func.coalesce(document, _json("{}")).label("document"),
            )
            .select_from(reported.outerjoin(said, true()))
            .where(reported.c.id >= func.coalesce(reported.c.opened, 0))
            .group_by(reported.c.row)
        )

    def _enters(self, reported: FromClause) -> ColumnElement[bool]:
        """Whether these events create a row: an INSERT does; for derived rows, any event that enters a fact."""
        made = "INSERT" if self.audited.kept is None else any_(array(["INSERT", "UPDATE"]))
        return func.bool_or(reported.c.action == made)

    def _said(self, reported: FromClause) -> Select[Any]:
        """The columns and values of an event; for entered columns also that they are no longer entered."""
        after: ColumnElement[Any] = reported.c.after
        for column in self.audited.entered:
            name = column.key
            ceased = and_(_has(reported.c.before, name), not_(_has(reported.c.after, name)))
            gone = func.jsonb_build_object(name, _json(_GONE), type_=JSONB)
            after = case((ceased, after.op("||", return_type=JSONB())(gone)), else_=after)
        pairs = func.jsonb_each(after).table_valued("key", Column("value", JSONB), name="pair")
        return select(pairs.c.key, pairs.c.value)

    def _apart(self, row: FromClause, document: ColumnElement[Any]) -> Iterator[ColumnElement[Any]]:
        """For each column its name if row and trail differ, else NULL."""
        for column in self.columns:
            said = document[column.key]
            differs = and_(said.is_not(None), said != _as_json(row.c[column.key]))
            if column in self.audited.entered:
                differs = and_(differs, said != _json(_GONE), self._entered(row, column))
            yield case((differs, literal(column.key, Text)))

    def _document(self, row: FromClause) -> ColumnElement[Any]:
        """The row's columns, as the trail records them."""
        recorded = [(c.key, _as_json(row.c[c.key])) for c in self.audited.facts]
        recorded += [(c.key, literal("changed", Text)) for c in self.audited.secrets]
        parts = [recorded[i : i + 50] for i in range(0, len(recorded), 50)]
        built: ColumnElement[Any] = _json("{}")
        for part in parts:
            one = func.jsonb_build_object(*(x for pair in part for x in pair), type_=JSONB)
            built = built.op("||", return_type=JSONB())(one)
        for column in self.audited.entered:
            one = func.jsonb_build_object(column.key, row.c[column.key], type_=JSONB)
            given = case((self._entered(row, column), one), else_=_json("{}"))
            built = built.op("||", return_type=JSONB())(given)
        return built

    def _entered(self, row: FromClause, column: Column[Any]) -> ColumnElement[bool]:
        """Whether the figure column holds an amount that a user entered."""
        condition = self.audited.entered[column]
        return func.coalesce(replace(condition, lambda part: row.c[part.key]), False)

    def _kept(self, row: FromClause) -> ColumnElement[bool]:
        """Whether the row holds an entered fact; always true for rows that are not derived."""
        kept = self.audited.kept
        return (
            true() if kept is None else func.coalesce(replace(kept, lambda p: row.c[p.key]), False)
        )

    def _kept_by(self, document: ColumnElement[Any]) -> ColumnElement[bool]:
        """The same condition over the row as recorded in the trail."""
        kept = self.audited.kept
        if kept is None:
            return true()
        read = replace(kept, lambda part: cast(document[part.key].astext, part.type))
        return func.coalesce(read, False)

    @cached_property
    def _missing(self) -> Statement:
        """The ids of rows created by events from `low` to `high` that do not exist now."""
        made = ["INSERT"] if self.audited.kept is None else ["INSERT", "UPDATE"]
        is_number = EVENTS.c.row_id.op("~")(literal("^[0-9]{1,18}$", Text))
        number = case((is_number, cast(EVENTS.c.row_id, BigInteger)))
        reported = (
            select(number.label("id"))
            .where(
                EVENTS.c.id.between(
                    bindparam("low", type_=BigInteger), bindparam("high", type_=BigInteger)
                ),
                EVENTS.c.table_name == self.name,
                EVENTS.c.action.in_(made),
            )
            .distinct()
        ).subquery("reported")  # fmt: skip
        is_there = select(1).select_from(self.table).where(self.key == reported.c.id).exists()
        return Statement(select(reported.c.id).where(reported.c.id.is_not(None), ~is_there))


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


def _json(text: str) -> ColumnElement[Any]:
    return cast(literal(text, Text), JSONB)


def _as_json(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.to_jsonb(column, type_=JSONB), _json("null"))


def _big(number: int) -> ColumnElement[int]:
    """A number possibly beyond the key's type, so that it can be compared although no row has it."""
    return literal(number, BigInteger)


def _has(document: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    return document.op("?", return_type=Boolean())(literal(name, Text))


def _read(document: str | None) -> dict[str, Any]:
    read: dict[str, Any] = {} if document is None else loads(document, parse_float=str)
    return read


def _is_known(value: Any) -> bool:
    return bool(value != {"gone": True})
