"""What happened to a record, in words: every save with who, when and what, and every correction."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..audit.histories import Change, Event
from ..audit.models import AuditEvent
from ..audit.queries import history as audit_history
from ..base import Base
from ..drift.histories import corrected, corrections_of, who_made
from ..figures import registry
from ..people.actors import Actors, name_of
from .declaration import Record, Row
from .writing import written

SHOWN = 200
"""Saves that are shown, the newest."""


def events_of(
    session: Session, record: Record, row: Row, *, has_figures: bool = False
) -> list[Event]:
    """The record's history, newest first; `has_figures`: with the corrections of what is stored of it."""
    recorded = list(
        audit_history(session, record.model.__tablename__, row.id, parts=record.parts, limit=SHOWN)
    )
    own = [f for f in registry.figures if has_figures and f.owner_table is record.model.__table__]
    corrections = corrections_of(session, own, row.id, limit=SHOWN) if own else ()
    names = Actors(session, [*(e.actor for e in recorded), *map(who_made, corrections)])
    tell = record.telling(session, row, recorded)
    events = []
    for _transaction, save in groupby(recorded, key=lambda event: event.xid):
        kind, changes, first = "changed", list[Change](), None
        for event in reversed(list(save)):
            first = event
            if event.table_name == record.model.__tablename__:
                kind = "created" if event.action == "INSERT" else kind
                changes += _told(record, event)
            else:
                another, told = tell(event)
                kind, changes = another or kind, [*changes, *told]
        if changes and first is not None:
            events.append(Event(first.at, names.actor(first.actor), kind, tuple(changes)))
    events += [corrected(correction, names) for correction in corrections]
    return sorted(events, key=lambda event: event.at, reverse=True)


def last_save(session: Session, model: type[Base], row_id: int) -> tuple[str, datetime | None]:
    """Who has saved the row last, and when; nobody of a row that the trail does not know."""
    found = audit_history(session, model.__tablename__, row_id, limit=1)
    return (name_of(session, found[0].actor), found[0].at) if found else ("", None)


def _told(record: Record, event: AuditEvent) -> Iterator[Change]:
    """What a save of the row itself changed of its fields."""
    before, after = event.before or {}, event.after or {}
    for field in record.fields:
        sides = [
            written(field, field.fact(side[field.name])) if field.name in side else ""
            for side in (before, after)
        ]
        if any(sides):
            yield Change(_(field.label), *sides)
