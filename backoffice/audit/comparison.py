"""The statements that compare a table's rows with the state that their events in the trail add up to; see `facts`."""

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    FromClause,
    Integer,
    Numeric,
    Select,
    String,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    type_coerce,
    union,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, array

from ..figures.computing.statements import Statement
from ..figures.declaring.expressions import replace
from ..figures.models import Xid, Xid8
from .chain.records import EVENTS
from .scope import AuditedTable

_ALIKE = (Boolean, Date, Integer, Numeric, String)
"""Types of which equal texts are equal values, and are written alike in a row and in JSON."""

_IDS: Any = bindparam("ids", type_=ARRAY(BigInteger))

_GONE = '{"gone": true}'
"""The value in a folded document of a column no longer recorded; no real column holds such an object."""


class Comparison:
    """The statements of one audited table."""

    def __init__(self, audited: AuditedTable) -> None:
        self.audited = audited
        self.table = audited.table
        self.name = audited.table.name
        self.key: Column[Any] = next(iter(audited.table.primary_key))
        self._statements: dict[frozenset[str], Statement] = {}

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """The columns compared: facts, and figure columns in the rows where they were entered."""
        return (*self.audited.facts, *self.audited.entered)

    def told(self, rows: FromClause) -> FromClause:
        """By row (`row_id`, a text), of these (`id`): its events in short, for `may_differ`."""
        document = func.array_agg(EVENTS.c.after, type_=ARRAY(JSONB))[1]
        return (
            select(
                EVENTS.c.row_id,
                func.count().label("events"),
                func.min(EVENTS.c.action).label("action"),
                document.label("document"),
            )
            .where(*self._events_of(rows))
            .group_by(EVENTS.c.row_id)
        ).subquery("told")

    def may_differ(
        self, row: FromClause, told: FromClause, columns: Collection[Column[Any]]
    ) -> ColumnElement[bool]:
        """Whether a row has to be compared: it is not seen at once to agree with the trail in these columns.

        Most rows were entered and never changed: their one event says what they hold.
        """
        agrees = and_(
            told.c.events == 1,
            told.c.action == "INSERT",
            self._agree(row, told.c.document, columns),
        )
        return func.coalesce(agrees, False).is_(False)

    def _agree(
        self, row: FromClause, document: ColumnElement[Any], columns: Collection[Column[Any]]
    ) -> ColumnElement[bool]:
        """Whether there is a row that surely holds what the document says of these columns."""
        is_there = row.c[self.key.key].is_not(None)
        return and_(is_there, *(self._agrees(row, document, column) for column in columns))

    @cached_property
    def newer(self) -> Statement:
        """The ids (texts) of the rows that were written, or have events, not before the transaction `horizon`.

        `lowest` is its lower 32 bits, which is what `xmin` has.
        """
        lowest = cast(bindparam("lowest", type_=Text), Xid)
        is_newer = is_not_before(literal_column("stored.xmin"), lowest)
        stored = self.table.alias("stored")
        since = EVENTS.c.xid >= cast(bindparam("horizon", type_=Text), Xid8)
        mine = EVENTS.c.table_name == self.name, EVENTS.c.row_id.is_not(None)
        return Statement(
            union(
                select(cast(stored.c[self.key.key], Text)).where(is_newer),
                select(EVENTS.c.row_id).where(*mine, since),
            )
        )

    def of_all(self, columns: frozenset[str]) -> Statement:
        """The ids (texts) of all rows to be compared in full, found by joining these columns with the table's events.

        A row with other events than the one that entered it is always among them.
        """
        if columns not in self._statements:
            chosen = [column for column in self.columns if column.key in columns]
            self._statements[columns] = self._of_all(chosen)
        return self._statements[columns]

    def _of_all(self, columns: Collection[Column[Any]]) -> Statement:
        mine = EVENTS.c.table_name == self.name, EVENTS.c.row_id.is_not(None)
        entering = select(EVENTS.c.row_id, EVENTS.c.after).where(*mine, EVENTS.c.action == "INSERT")
        stored, entered = self.table.alias("stored"), entering.subquery("entered")
        key = cast(stored.c[self.key.key], Text)
        joined = stored.join(entered, entered.c.row_id == key, full=True)
        differing = select(func.coalesce(entered.c.row_id, key)).select_from(joined)
        changed = select(EVENTS.c.row_id).where(*mine, EVENTS.c.action != "INSERT")
        return Statement(union(differing.where(self._differs(stored, entered, columns)), changed))

    def _differs(
        self, stored: FromClause, entered: FromClause, columns: Collection[Column[Any]]
    ) -> ColumnElement[bool]:
        """Whether a row is not seen at once to agree with the event that entered it; derived rows may have none."""
        is_entered = entered.c.row_id.is_not(None)
        agrees = and_(is_entered, self._agree(stored, entered.c.after, columns))
        if self.audited.kept is not None:
            agrees = or_(agrees, and_(not_(is_entered), not_(self._kept(stored))))
        return func.coalesce(agrees, False).is_(False)

    def _events_of(self, rows: FromClause) -> tuple[ColumnElement[bool], ...]:
        """Conditions for the events of rows (`id`) since the table was last emptied; one index scan finds them."""
        mine = EVENTS.c.table_name == self.name
        emptied = (
            select(func.max(EVENTS.c.id)).where(mine, EVENTS.c.row_id.is_(None)).scalar_subquery()
        )
        ids = func.array(select(cast(rows.c.id, Text)).scalar_subquery(), type_=ARRAY(Text))
        return mine, EVENTS.c.row_id == any_(ids), EVENTS.c.id > func.coalesce(emptied, 0)

    def _agrees(
        self, row: FromClause, document: ColumnElement[Any], column: Column[Any]
    ) -> ColumnElement[bool]:
        """Whether a column surely holds what the document says; texts are compared where a type's are alike in both."""
        stored, said = row.c[column.key], document[column.key]
        agrees = or_(said == _as_json(stored), said.is_(None))  # the row is older than the column
        if isinstance(column.type, _ALIKE):  # the usual case first: it is looked up once
            is_nothing = or_(stored.is_(None), said.is_(None))
            agrees = or_(said.astext == cast(stored, Text), and_(said.astext.is_(None), is_nothing))
        if column in self.audited.entered:
            return or_(not_(self._entered(row, column)), agrees)
        return agrees

    @cached_property
    def suspects(self) -> Statement:
        """The rows of `ids` that have to be compared."""
        wanted, stored = _given(), self.table.alias("stored")
        told = self.told(wanted)
        key = stored.c[self.key.key]  # said twice, so that only these rows are read
        rows = wanted.outerjoin(stored, and_(key == wanted.c.id, key == any_(_IDS)))
        found = rows.outerjoin(told, told.c.row_id == cast(wanted.c.id, Text))
        return Statement(
            select(wanted.c.id)
            .select_from(found)
            .where(self.may_differ(stored, told, self.columns))
        )

    @cached_property
    def differing(self) -> Statement:
        """The rows of `ids` that differ, with both documents and the names of the columns that differ."""
        wanted = _given()
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
            .outerjoin(trail, trail.c.row == cast(wanted.c.id, Text))
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
        opening = func.max(EVENTS.c.id).filter(EVENTS.c.action != "UPDATE")
        reported = (
            select(
                EVENTS.c.row_id.label("row"), EVENTS.c.id, EVENTS.c.action, EVENTS.c.before, EVENTS.c.after,
                opening.over(partition_by=EVENTS.c.row_id).label("opened"),
                func.count().over(partition_by=EVENTS.c.row_id).label("events"),
            )
            .where(*self._events_of(wanted))
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
                reported.c.row,
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
    def missing(self) -> Statement:
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


def is_not_before(xid: ColumnElement[Any], lowest: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a transaction began with this number or later, over a wraparound of the 32 bits.

    Exact for a `lowest` that is at most 2^31 transactions old, which the use of a mark requires. A frozen row keeps
    the number that wrote it; one from an earlier round may count as newer, so it is compared without need.
    """
    return func.age(xid) <= func.age(lowest)


def _given() -> FromClause:
    """The parameter `ids` as rows."""
    return func.unnest(_IDS).table_valued("id", name="wanted").render_derived()


def _json(text: str) -> ColumnElement[Any]:
    return cast(literal(text, Text), JSONB)


def _as_json(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.to_jsonb(column, type_=JSONB), _json("null"))


def _has(document: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    return document.op("?", return_type=Boolean())(literal(name, Text))
