"""What happened to a meter, in words: every save of it, of whose it is and of its adjustments; every correction."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...app.extensions import db
from ...audit.histories import Change, Event
from ...audit.models import AuditEvent
from ...audit.queries import history as audit_history
from ...audit.tables import Recorded
from ...audit.telling import difference_of
from ...base import N_
from ...drift.histories import corrected, corrections_of, who_made
from ...figures.models import Correction
from ...web import conflicts
from ..figures import meter_balance, meter_totals
from ..models import Meter, MeterAdjustment, MeterAssignment
from .wording import LABELS, MeterWording

SHOWN = 200
"""Events of one meter that its history shows; the audit screen has them all."""

RECORDED = (
    Recorded(
        N_("Meter"), Meter, name=Meter.number,
        endpoint="billing.meter", argument="number", labels=LABELS,
    ),
    Recorded(
        N_("Assignment of a meter"), MeterAssignment,
        part_of=MeterAssignment.meter_id, labels=LABELS,
    ),
    Recorded(
        N_("Adjustment"), MeterAdjustment, name=MeterAdjustment.number,
        endpoint="billing.adjustment", argument="number", labels=LABELS,
    ),
)  # fmt: skip

_UNTOLD = {"id", "meter_id", "created_at", "updated_at", "version"}
"""Recorded columns that mean nothing to a reader."""


def conflict_over(
    found: Sequence[conflicts.Difference[str]], newest: AuditEvent | None
) -> conflicts.Conflict:
    """What somebody else saved of a meter or of an assignment, which `newest` tells of, beside mine."""
    words = MeterWording(db.session(), actors=[newest.actor] if newest else [])
    who, at = (words.actor(newest.actor), newest.at) if newest else ("", None)
    return conflicts.conflict_over(
        found, words.label, lambda name, fact: words.value(name, fact or None), who, at
    )


def recorded_events(session: Session, meter_id: int) -> Sequence[AuditEvent]:
    """The audit trail of a meter, of its assignments and of its adjustments, newest first."""
    parts = [MeterAssignment.meter_id, MeterAdjustment.meter_id]
    return audit_history(session, Meter.__tablename__, meter_id, parts=parts, limit=SHOWN)


def events_of(session: Session, meter: Meter) -> list[Event]:
    """The meter's history, newest first."""
    recorded = recorded_events(session, meter.id)
    corrections = corrections_of(session, (meter_totals, meter_balance), meter.id, limit=SHOWN)
    wording = _wording_of(session, recorded, corrections)
    names = _names(recorded, wording)
    saved = [
        _saved(list(group), wording, names)
        for _transaction, group in groupby(recorded, key=lambda event: event.xid)
    ]
    found = [event for event in saved if event.changes]
    found += [corrected(correction, wording) for correction in corrections]
    return sorted(found, key=lambda event: event.at, reverse=True)


def _wording_of(
    session: Session, recorded: Sequence[AuditEvent], corrections: Sequence[Correction]
) -> MeterWording:
    documents = [told for event in recorded for told in (event.before, event.after) if told]
    return MeterWording(
        session,
        customers=[told.get("customer_id") for told in documents],
        actors=[*(event.actor for event in recorded), *map(who_made, corrections)],
    )


def _names(recorded: Sequence[AuditEvent], wording: MeterWording) -> dict[tuple[str, str], str]:
    """What each assignment and adjustment is called; an update tells only what it changed."""
    names: dict[tuple[str, str], str] = {}
    for event in recorded:
        told = {**(event.before or {}), **(event.after or {})}
        row = (event.table_name, str(event.row_id))
        if event.table_name == MeterAdjustment.__tablename__ and "number" in told:
            names.setdefault(row, _("Adjustment %(number)s", number=told["number"]))
        if event.table_name == MeterAssignment.__tablename__ and "customer_id" in told:
            customer = wording.value("customer_id", told["customer_id"])
            names.setdefault(row, _("Assignment to %(customer)s", customer=customer))
    return names


def _saved(
    group: list[AuditEvent], wording: MeterWording, names: dict[tuple[str, str], str]
) -> Event:
    """Everything that one transaction did to the meter, as one event."""
    newest = group[0]
    is_new = any(e.table_name == Meter.__tablename__ and e.action == "INSERT" for e in group)
    changes: list[Change] = []
    for event in sorted(group, key=lambda event: event.id):
        is_own = event.table_name == Meter.__tablename__
        name = "" if is_own else names.get((event.table_name, str(event.row_id)), "")
        changes += _columns(event, wording, name)
    kind = "created" if is_new else "changed"
    return Event(newest.at, wording.actor(newest.actor), kind, tuple(changes))


def _columns(event: AuditEvent, wording: MeterWording, name: str) -> Iterator[Change]:
    before, after = event.before or {}, event.after or {}
    told = wording.in_order(column for column in {**before, **after} if column not in _UNTOLD)
    if name and event.action != "UPDATE":
        summary = _summary(after or before, told, wording)
        yield Change(name, "" if after else summary, summary if after else "")
        return
    for column in told:
        old = wording.value(column, before[column]) if column in before else ""
        new = wording.value(column, after[column]) if column in after else ""
        if event.action == "UPDATE" or new not in ("", "–"):
            where = f"{name} · " if name else ""
            sides = before.get(column), after.get(column)
            apart = difference_of(event.table_name, column, *sides)
            yield Change(where + wording.label(column), old, new, apart)


def _summary(row: dict[str, object], told: list[str], wording: MeterWording) -> str:
    """An assignment or an adjustment in a few words."""
    if "assigned_from" in row or "assigned_to" in row:
        days = " – ".join(
            wording.value(name, row.get(name)) for name in ("assigned_from", "assigned_to")
        )
        return f"{days} · {_('Active') if row.get('is_active') else _('Inactive')}"
    wanted = [name for name in ("adjusted_on", "amount", "reason") if name in told]
    return " · ".join(wording.value(name, row.get(name)) for name in wanted)
