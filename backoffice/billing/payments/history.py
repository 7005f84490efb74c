"""What a save tells of a receipt beside what all its parts say alike: where each part went, and how much of it."""

from collections.abc import Sequence

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...audit.histories import Change
from ...audit.models import AuditEvent
from ...audit.rendering import teller
from ...records import Rendered, Rendering
from ..models import Payment
from ..voiding import kind_of

WHERE = ("amount", "invoice_id", "meter_id")
"""Columns that every part has for itself."""


def where_it_went(session: Session, receipt: Payment, events: Sequence[AuditEvent]) -> Rendering:
    """What each save did to the parts, by their numbers where there are several."""
    numbers = {str(payment.id): payment.part for payment in receipt.parts}
    tell = teller(session, events)

    def save(events: Sequence[AuditEvent]) -> Rendered:
        changes: list[Change] = []
        for event in sorted(events, key=lambda event: numbers[event.row_id or ""]):
            number = numbers[event.row_id or ""]
            where = _("Part %(number)d", number=number) + " · " if len(numbers) > 1 else ""
            changes += tell(event, WHERE, where)
        return kind_of(events), changes

    return Rendering(save)
