"""The result of an import, read from its own audit events before it is committed or rolled back."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    Text,
    cast,
    func,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Session, aliased

from ..audit.models import AuditEvent
from ..base import Base
from ..figures.computing.registry import registry
from .files.stage import Stage
from .kinds import ImportKind
from .models import Import

SHOWN = 20
"""The most changes of each sort that are shown."""

SORTS = {"DELETE": "removed", "UPDATE": "updated", "INSERT": "created"}
"""Action in the audit trail → sort of change, removals first."""

HIDDEN = (
    "id", "created_at", "position", "entry_id", "itemised", "part", "status", "transaction_type", "made_by",
    "use_realtime_calculation",
)  # fmt: skip
"""Recorded columns that are not shown: ids and places, and what follows from other columns or is always the same."""

_NOTHING: tuple[Any, ...] = (None, "", "0.00", [])
"""Values of a new row for which none was entered."""

_NAMES = ("number", "reference", "code", "name")
"""Columns that identify a row for people; the first that a table has."""


@dataclass
class Outcome:
    """Some of the changes, and control totals over the lines."""

    sample: list[dict[str, Any]] = field(default_factory=list)
    totals: list[list[str]] = field(default_factory=list)


def outcome_of(session: Session, kind: ImportKind, stage: Stage) -> Outcome:
    """The result of the current transaction's import; call it before that is committed or rolled back."""
    wording = _Wording(session)
    sample = [
        wording.reported(event)
        for action in SORTS
        for event in session.scalars(
            select(AuditEvent)
            .where(*_OWN_EVENTS, AuditEvent.action == action, *_is_reported())
            .order_by(AuditEvent.id)
            .limit(SHOWN)
        )
    ]
    return Outcome(sample, _totals(session, kind, stage))


_OWN_EVENTS = (
    AuditEvent.xid == func.pg_current_xact_id(),
    AuditEvent.table_name != Import.__tablename__,
)

_made = aliased(AuditEvent)
_IS_OF_NEW = (
    select(_made.id)
    .where(
        _made.xid == AuditEvent.xid,
        _made.table_name == AuditEvent.table_name,
        _made.row_id == AuditEvent.row_id,
        _made.action == "INSERT",
    )
    .exists()
)
"""Whether the event's row was created in the same transaction: an entry is drafted, and then posted."""


def _is_reported() -> tuple[ColumnElement[bool], ...]:
    """The conditions that leave out derived rows, and updates of hidden columns alone."""
    derived = [figure.table.name for figure in registry.figures if figure.derived_rows]
    changed = type_coerce(AuditEvent.after, JSONB).op("-")(cast(list(HIDDEN), ARRAY(Text)))
    says_something = or_(AuditEvent.action != "UPDATE", changed != cast({}, JSONB))
    return (
        ~AuditEvent.table_name.in_(derived),
        or_(AuditEvent.action == "INSERT", ~_IS_OF_NEW),
        says_something,
    )


def _totals(session: Session, kind: ImportKind, stage: Stage) -> list[list[str]]:
    sums = kind.totals(stage)
    if not sums:
        return []
    row = session.execute(select(*sums.values()).select_from(stage.lines)).one()
    return [[label, str(value or 0)] for label, value in zip(sums, row, strict=True)]


class _Wording:
    """Renders audit events with the names of rows; each name is looked up once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._found: dict[tuple[str, str], str] = {}

    def reported(self, event: AuditEvent) -> dict[str, Any]:
        """An event as a template shows it: its sort, its record, and its columns before and after."""
        table = Base.metadata.tables[event.table_name]
        before, after = event.before or {}, event.after or {}
        owner, name, key = self._subject(table, event.row_id or "", {**before, **after})
        changes = [
            [column, self._value(table, column, before), self._value(table, column, after)]
            for column in table.c.keys()  # noqa: SIM118 (columns, by name and in their order)
            if column not in HIDDEN and column in {**before, **after}
        ]
        if event.action != "UPDATE":
            changes = [
                [column, old, new]
                for column, old, new in changes
                if column != key and (old not in _NOTHING or new not in _NOTHING)
            ]
        return {
            "sort": SORTS[event.action],
            "table": event.table_name,
            "owner": owner,
            "name": name,
            "changes": changes,
        }

    def _subject(
        self, table: Table, row_id: str, document: dict[str, Any]
    ) -> tuple[str, str, str | None]:
        """The record of the event, which may be the parent of its row: table, name, and the naming column."""
        if own := next((name for name in _NAMES if name in table.c), None):
            return table.name, str(document.get(own) or self._name(table, row_id)), own
        parent = next((column for column in table.c if column.foreign_keys), None)
        if parent is None:
            return table.name, f"#{row_id}", None
        key = document.get(parent.key) or self._session.scalar(
            select(parent).where(table.c.id == int(row_id))
        )
        above = next(iter(parent.foreign_keys)).column.table
        return above.name, self._name(above, str(key)), parent.key

    def _value(self, table: Table, column: str, document: dict[str, Any]) -> Any:
        """A recorded value; for a foreign key, the name of the row it refers to."""
        value = document.get(column)
        keys = table.c[column].foreign_keys if column in table.c else ()
        for key in keys:
            return None if value is None else self._name(key.column.table, str(value))
        return value

    def _name(self, table: Table, row_id: str) -> str:
        if (table.name, row_id) not in self._found:
            column = next((table.c[name] for name in _NAMES if name in table.c), table.c.id)
            found = self._session.scalar(select(column).where(table.c.id == int(row_id)))
            self._found[table.name, row_id] = str(found or f"#{row_id}")
        return self._found[table.name, row_id]
