"""The history of a meter's assignments and adjustments, rendered for people."""

from collections.abc import Iterator, Mapping, Sequence

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...audit.histories import Change
from ...audit.models import AuditEvent
from ...audit.rendering import difference_of
from ...records import Rendered, Rendering
from ..models import Meter, MeterAdjustment, MeterAssignment
from .wording import MeterWording

_UNREPORTED = {"id", "meter_id", "created_at", "updated_at", "version"}
"""Recorded columns that are not rendered."""


def parts_rendered(session: Session, _meter: Meter, events: Sequence[AuditEvent]) -> Rendering:
    """Render the assignments and adjustments of each save in the meter's history."""
    sides = [side for event in events for side in (event.before, event.after) if side]
    wording = MeterWording(session, customers=[side.get("customer_id") for side in sides])
    names = _names(events, wording)

    def render(save: Sequence[AuditEvent]) -> Rendered:
        parts = (event for event in save if event.table_name != Meter.__tablename__)
        return "", [
            change
            for event in parts
            for change in _columns(
                event, wording, names.get((event.table_name, str(event.row_id)), "")
            )
        ]

    return Rendering(render)


def _names(events: Sequence[AuditEvent], wording: MeterWording) -> Mapping[tuple[str, str], str]:
    """The label of each assignment and adjustment; an update records only the columns it changed."""
    names: dict[tuple[str, str], str] = {}
    for event in events:
        reported = {**(event.before or {}), **(event.after or {})}
        row = (event.table_name, str(event.row_id))
        if event.table_name == MeterAdjustment.__tablename__ and "number" in reported:
            names.setdefault(row, _("Adjustment %(number)s", number=reported["number"]))
        if event.table_name == MeterAssignment.__tablename__ and "customer_id" in reported:
            customer = wording.value("customer_id", reported["customer_id"])
            names.setdefault(row, _("Assignment to %(customer)s", customer=customer))
    return names


def _columns(event: AuditEvent, wording: MeterWording, name: str) -> Iterator[Change]:
    before, after = event.before or {}, event.after or {}
    reported = wording.in_order(
        column for column in {**before, **after} if column not in _UNREPORTED
    )
    if name and event.action != "UPDATE":
        summary = _summary(after or before, reported, wording)
        yield Change(name, "" if after else summary, summary if after else "")
        return
    for column in reported:
        old = wording.value(column, before[column]) if column in before else ""
        new = wording.value(column, after[column]) if column in after else ""
        if event.action == "UPDATE" or new not in ("", "–"):
            where = f"{name} · " if name else ""
            sides = before.get(column), after.get(column)
            difference = difference_of(event.table_name, column, *sides)
            yield Change(where + wording.label(column), old, new, difference)


def _summary(row: Mapping[str, object], reported: Sequence[str], wording: MeterWording) -> str:
    """An assignment or an adjustment in a few words."""
    if "assigned_from" in row or "assigned_to" in row:
        days = " – ".join(
            wording.value(name, row.get(name)) for name in ("assigned_from", "assigned_to")
        )
        return f"{days} · {_('Active') if row.get('is_active') else _('Inactive')}"
    wanted = [name for name in ("adjusted_on", "amount", "reason") if name in reported]
    return " · ".join(wording.value(name, row.get(name)) for name in wanted)
