"""The history of a record, rendered: every save with user, time and changes, and every correction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..audit.histories import Change, Event
from ..audit.models import AuditEvent
from ..audit.rendering import difference_of
from ..drift.histories import corrected, corrections_of, corrections_of_row, who_made
from ..figures import registry
from ..people.actors import Actors, name_of
from ..web.additions import notes_of
from .declaration import Record, Row
from .fields import Amount, Field
from .writing import written

SHOWN = 500
"""Events that are shown, about: the newest, in whole saves; the audit screen has them all."""

MOST = 32 * SHOWN
"""Events that are read so that a save is whole, as one that replaces the 5,000 lines of an order; one of more is told
by its last ones."""

_KINDS = {"INSERT": "created", "UPDATE": "changed", "DELETE": "deleted"}
"""Action of the audit trail → the kind of the save."""


@dataclass(frozen=True)
class History:
    """The events of a record, newest first; `has_earlier`: there are earlier ones that are not listed."""

    events: list[Event]
    has_earlier: bool


def events_of(session: Session, record: Record, row: Row) -> list[Event]:
    """The saves of the record itself, newest first."""
    return history_of(session, record, row).events


def history_of(session: Session, record: Record, row: Row, *, has_figures: bool = False) -> History:
    """The record's history; with `has_figures` including the corrections of its figures."""
    recorded, has_earlier = _whole_saves(session, record, row)
    own = [f for f in registry.figures if has_figures and f.owner_table is record.model.__table__]
    corrections = [*corrections_of(session, own, row.id, limit=SHOWN)] if own else []
    for figure in (f for f in record.figures if has_figures and f not in own):
        owner = record.owner_of(figure, row)  # another record owns the figure
        corrections += corrections_of_row(session, figure, owner, row, limit=SHOWN)
    names = Actors(session, [*(e.actor for e in recorded), *map(who_made, corrections)])
    rendering, notes = record.rendering(session, row, recorded), notes_of(session, row)
    events = []
    for transaction, group in groupby(recorded, key=lambda event: event.xid):
        save = list(group)[::-1]
        of_row = [event for event in save if record.is_own(event, row)]
        kind, reported = rendering.save(save)
        kind = kind or next((_KINDS[e.action] for e in of_row if e.action != "UPDATE"), "changed")
        own_changes = (change for event in of_row for change in _field_changes(record, event))
        changes = (*own_changes, *reported)
        if changes:
            newest, note = save[-1], notes.get(transaction, "")
            events.append(Event(newest.at, names.actor(newest.actor), kind, changes, note))
    has_earlier |= len(corrections) >= SHOWN
    of_parts = {figure.name for figure in own if figure.table is not record.model.__table__}
    for correction in corrections:
        where = rendering.part(correction.key) if correction.figure in of_parts else ""
        events.append(corrected(correction, names, where))
    return History(sorted(events, key=lambda event: event.at, reverse=True), has_earlier)


def _whole_saves(session: Session, record: Record, row: Row) -> tuple[list[AuditEvent], bool]:
    """The newest events, none of whose saves is told by half, and whether there are earlier ones.

    Half a save would be another one: without the row itself, and with totals that nobody has ever seen.
    """
    limit = SHOWN
    while True:
        found = record.trail(session, row, limit + 1)
        further = range(SHOWN, len(found))
        end = next((n for n in further if found[n].xid != found[SHOWN - 1].xid), None)
        if end is not None:
            return list(found[:end]), True
        if len(found) <= limit:
            return list(found), False
        if limit >= MOST:
            return list(found[:SHOWN]), True
        limit *= 2


def last_save(session: Session, newest: Sequence[AuditEvent]) -> tuple[str, datetime | None]:
    """The user who saved a row last, and when, from its newest audit event; an empty name and None without one."""
    return (name_of(session, newest[0].actor), newest[0].at) if newest else ("", None)


def _is_initial_zero(field: Field, event: AuditEvent) -> bool:
    """Whether it is a zero amount of a new row, which is not worth showing."""
    value = (event.after or {}).get(field.key)
    is_new = event.action == "INSERT" and value is not None
    return is_new and isinstance(field, Amount) and not Decimal(str(value))


def _field_changes(record: Record, event: AuditEvent) -> Iterator[Change]:
    """The changes of the row's own fields by an audit event."""
    before, after = event.before or {}, event.after or {}
    for field in (*record.fields, *record.kept):
        nothing = _(field.derived) if field.derived and event.action == "UPDATE" else ""
        old, new = (
            written(field, field.fact(side[field.key])) if field.key in side else nothing
            for side in (before, after)
        )
        if field.key in {**before, **after} and (old or new) and not _is_initial_zero(field, event):
            values = before.get(field.key), after.get(field.key)
            difference = difference_of(event.table_name, field.key, *values)
            yield Change(_(field.label), old, new, difference)
