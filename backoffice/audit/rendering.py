"""Events as people read them: who did what to which record, field by field.

A page of events costs one statement for the users and one for each table that its values point to, however many
events it has.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from flask import url_for
from flask_babel import format_datetime
from flask_babel import gettext as _
from sqlalchemy import Column, Date, DateTime, Integer, Numeric, cast, select
from sqlalchemy import Text as SqlText
from sqlalchemy.orm import Session

from ..app.navigation import may_open
from ..base import N_, Base
from ..base.differences import difference
from ..base.identifiers import is_id
from ..people.actors import names_of
from ..web.formats import (
    day_filter,
    moment_filter,
    money_filter,
    month_filter,
    quantity_filter,
    signed_filter,
    unit_price_filter,
)
from .histories import Change
from .tables import Recorded, recorded, title_of

NOTHING = "–"

ACTIONS = {
    "INSERT": (N_("Created"), "good"),
    "UPDATE": (N_("Changed"), "neutral"),
    "DELETE": (N_("Deleted"), "bad"),
    "TRUNCATE": (N_("Emptied"), "bad"),
}
"""Action → its name, and the tone of its badge."""

SHARED_LABELS = {
    "id": N_("Number"),
    "created_at": N_("Created"),
    "name": N_("Name"),
    "code": N_("Code"),
    "email": N_("E-mail"),
    "role": N_("Role"),
    "is_active": N_("Active"),
    "password_hash": N_("Password"),
    "language": N_("Language"),
    "number_format": N_("Number format"),
    "customer_id": N_("Customer"),
    "account_manager_id": N_("Account manager"),
    "order_id": N_("Order"),
    "product_id": N_("Product"),
    "user_id": N_("User"),
}
"""Labels of columns that mean the same in every table; a table's own labels take precedence."""

_BY_SCALE: dict[int | None, Callable[[Decimal], str]] = {
    2: money_filter,
    3: quantity_filter,
    4: unit_price_filter,
}

Row = Any
"""A row of the list of events, or an `AuditEvent`."""


@dataclass(frozen=True)
class EventView:
    """One rendered event; `texts` by column of the list. `href` is the address of its record, if there is one."""

    row: Row
    texts: Mapping[str, str]
    href: str | None
    tone: str
    changes: tuple[Change, ...]


def moment(at: datetime) -> str:
    """The moment in the business time zone, to the second."""
    return str(format_datetime(at, "d MMM y HH:mm:ss"))


def event_views(session: Session, rows: Sequence[Row]) -> list[EventView]:
    """The events rendered, in the same order."""
    names = _Names(session, rows)
    return [_reported(row, names) for row in rows]


@dataclass(frozen=True)
class _Sides:
    """A row as two sources have it, shaped like an event."""

    table_name: str
    row_id: str
    action: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    actor: str = ""


def teller(
    session: Session, events: Sequence[Row]
) -> Callable[[Row, Collection[str], str], Iterator[Change]]:
    """A function that renders the changes of some columns of one of these events, labels prefixed by `where`."""
    names = _Names(session, events)

    def tell(event: Row, columns: Collection[str], where: str = "") -> Iterator[Change]:
        for change in _changes(event, names, columns):
            yield replace(change, label=where + change.label)

    return tell


def differences(
    session: Session, table: str, row_id: int, before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[Change, ...]:
    """The differences between two versions of a row; if only one exists, its values."""
    action = "UPDATE" if before and after else "INSERT"
    sides = _Sides(table, str(row_id), action, before, after)
    return tuple(_changes(sides, _Names(session, [sides])))


class _Names:
    """The names of the ids in some events, and the records that the rows belong to."""

    def __init__(self, session: Session, rows: Sequence[Row]) -> None:
        self._session = session
        self.title = cache(lambda table: str(_(title_of(table))))
        self.label = cache(label_of)
        self.actors = names_of(session, (actor for row in rows for actor in _actors(row)))
        self._owners = self._owners_of(rows)
        wanted: dict[str, set[str]] = {}
        for row in rows:
            if row.row_id is not None:
                wanted.setdefault(row.table_name, set()).add(row.row_id)
            for table, key in _pointers(row):
                wanted.setdefault(table, set()).add(key)
        for table, key in self._owners.values():
            wanted.setdefault(table, set()).add(key)
        self._called = {
            (table, key): name
            for table, keys in wanted.items()
            for key, name in self._names_in(table, keys)
        }

    def of(self, table: str, key: str) -> str | None:
        """The name of a row; None if it is deleted or has no name."""
        return self._called.get((table, key))

    def place_of(self, row: Row) -> tuple[str, str]:
        """The record that shows the row: itself, or the record it is a part of."""
        own = (row.table_name, row.row_id or "")
        return self._owners.get(own, own)

    def _owners_of(self, rows: Sequence[Row]) -> dict[tuple[str, str], tuple[str, str]]:
        """Part → the record it belongs to, according to the event, else as stored now."""
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for table in {row.table_name for row in rows}:
            part_of = _part_of(table)
            if part_of is None:
                continue
            owners = _target_of(part_of) or ""
            said: dict[str, str] = {}
            unsaid: set[str] = set()
            for row in rows:
                if row.table_name == table and row.row_id is not None:
                    owner = {k: v for side in _sides(row) for k, v in side.items()}.get(part_of.key)
                    if owner is None:
                        unsaid.add(row.row_id)
                    else:
                        said[row.row_id] = str(owner)
            now = self._columns(part_of.table, part_of, unsaid - set(said)) if unsaid else ()
            found |= {(table, key): (owners, owner) for key, owner in (*now, *said.items())}
        return found

    def _names_in(self, table: str, keys: set[str]) -> Iterator[tuple[str, str]]:
        known = recorded(table)
        if known is not None and known.called is not None:
            yield from self._columns(Base.metadata.tables[table], known.called, keys)

    def _columns(self, table: Any, column: Any, keys: set[str]) -> list[tuple[str, str]]:
        """The values of a column as text, by row id."""
        own: Column[Any] = next(iter(table.primary_key))
        values = select(cast(own, SqlText).label("key"), cast(column, SqlText).label("value"))
        values = values.where(own.in_(_numbers(keys)))
        return [(key, value) for key, value in self._session.execute(values)]


def _part_of(table: str) -> Column[Any] | None:
    known = recorded(table)
    if known is None or known.part_of is None:
        return None
    column: Column[Any] = known.part_of.property.columns[0]
    return column


def _reported(row: Row, names: _Names) -> EventView:
    table, key = names.place_of(row)
    known, name = recorded(table), names.of(table, key)
    href = _address(known, key, name) if known and name is not None else None
    number = row.key if hasattr(row, "key") else row.id
    word, tone = ACTIONS.get(row.action, (row.action, "neutral"))
    return EventView(
        row=row,
        texts={
            "at": moment_filter(row.at),
            "who": names.actors[row.actor],
            "db_user": row.db_user,
            "what": names.title(row.table_name),
            "record": name or (f"#{row.row_id}" if row.row_id else _("the whole table")),
            "action": _(word),
            "changes": f"#{number}",
            "event": str(number),
        },
        href=href,
        tone=tone,
        changes=tuple(_changes(row, names)),
    )


def _address(known: Recorded, key: str, name: str) -> str | None:
    """The address of a record, for users who may see it."""
    if not known.endpoint or not may_open(known.endpoint):
        return None
    return url_for(known.endpoint, **known.address_of(key, name))


def _changes(row: Row, names: _Names, columns: Collection[str] | None = None) -> Iterator[Change]:
    before, after = _sides(row)
    empty = {"", NOTHING} if row.action != "UPDATE" else {""}  # whole row: only its values
    for name in _in_order(row.table_name, {**before, **after}):
        old, new = (_written(row.table_name, name, side, names) for side in (before, after))
        is_wanted = name != "id" if columns is None else name in columns
        if is_wanted and not {old, new} <= empty:
            nothing = 0 if isinstance(row, _Sides) and not (before and after) else None
            sides = before.get(name, nothing), after.get(name, nothing)
            apart = difference_of(row.table_name, name, *sides)
            yield Change(names.label(row.table_name, name), old, new, apart)


def label_of(table: str, column: str) -> str:
    """The label of a column on screen."""
    known = recorded(table)
    label = (known.labels.get(column) if known else None) or SHARED_LABELS.get(column)
    return _(label) if label else column.removesuffix("_id").replace("_", " ").capitalize()


def difference_of(table: str, column: str, before: Any, after: Any) -> str:
    """The signed change of an amount, quantity, price or count; empty if either value is missing."""
    known = _column(table, column)
    if known is None or not is_measured(known) or before is None or after is None:
        return ""
    scale = known.type.scale if isinstance(known.type, Numeric) else None
    return signed_filter(difference(before, after), _BY_SCALE.get(scale, str))


def is_measured(column: Column[Any]) -> bool:
    """Whether the column holds an amount, quantity, price or count rather than an identifier."""
    is_number = isinstance(column.type, Numeric | Integer)
    return is_number and not column.primary_key and not column.foreign_keys


def _in_order(table: str, columns: Mapping[str, Any]) -> list[str]:
    """The columns in table order; dropped columns come last."""
    places = _places(table)
    return sorted(columns, key=lambda column: places.get(column, len(places)))


@cache
def _places(table: str) -> Mapping[str, int]:
    found = Base.metadata.tables.get(table)
    return {} if found is None else {name: place for place, name in enumerate(found.c.keys())}


def _written(table: str, name: str, side: Mapping[str, Any], names: _Names) -> str:
    """A recorded value as displayed; empty if the row had no value before or after."""
    if name not in side:
        return ""
    value = side[name]
    if value is None or value in ("", []):
        return NOTHING
    column = _column(table, name)
    if column is None:
        return _plain(value)
    if (target := _target_of(column)) is not None:
        return names.of(target, str(value)) or f"#{value}"
    try:
        return names.actors[str(value)] if _says_who(column) else _typed(column, value)
    except (ValueError, ArithmeticError, TypeError):
        return _plain(value)  # the column had another type at the time


def _typed(column: Column[Any], value: Any) -> str:
    if isinstance(column.type, Numeric):
        number = Decimal(str(value))
        return _BY_SCALE.get(column.type.scale, str)(number)
    if isinstance(column.type, DateTime):
        return moment_filter(datetime.fromisoformat(value))
    if isinstance(column.type, Date):
        write = month_filter if column.info.get("is_month") else day_filter
        return write(date.fromisoformat(value))
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, dict):  # digests keyed by the id of the correction
        return ", ".join(f"#{number}" for number in value)
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return _("changed") if value == "changed" else str(value)


def _sides(row: Row) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The values before and after; empty if not written by a trigger."""
    before, after = (side if isinstance(side, dict) else {} for side in (row.before, row.after))
    return before, after


def _values(row: Row) -> Iterator[tuple[Column[Any], Any]]:
    """The values before and after, each with its column; those of columns that are gone are left out."""
    for side in _sides(row):
        for name, value in side.items():
            if (column := _column(row.table_name, name)) is not None:
                yield column, value


def _actors(row: Row) -> Iterator[str]:
    """The actor of the event, and the users that its values name."""
    yield row.actor
    yield from (str(value) for column, value in _values(row) if value and _says_who(column))


def _says_who(column: Column[Any]) -> bool:
    return bool(column.info.get("is_actor"))


def _pointers(row: Row) -> Iterator[tuple[str, str]]:
    """References to rows of other tables in the event's values."""
    for column, value in _values(row):
        if value is not None and (target := _target_of(column)) is not None:
            yield target, str(value)


@cache
def _column(table: str, name: str) -> Column[Any] | None:
    found = Base.metadata.tables.get(table)
    return None if found is None else found.c.get(name)


@cache
def _target_of(column: Column[Any]) -> str | None:
    """The table that a column references."""
    return next((key.column.table.name for key in column.foreign_keys), None)


def _numbers(keys: set[str]) -> list[int]:
    return [int(key) for key in keys if is_id(key)]
