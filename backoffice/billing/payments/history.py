"""The history of a receipt's parts: the amount, invoice and meter of each, rendered for people."""

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
"""The columns that differ between the parts."""


def parts_rendered(session: Session, receipt: Payment, events: Sequence[AuditEvent]) -> Rendering:
    """Render what each save changed in the parts, by part number where there are several."""
    numbers = {str(payment.id): payment.part for payment in receipt.parts}
    render_event = teller(session, events)

    def render(events: Sequence[AuditEvent]) -> Rendered:
        changes: list[Change] = []
        for event in sorted(events, key=lambda event: numbers[event.row_id or ""]):
            number = numbers[event.row_id or ""]
            where = _("Part %(number)d", number=number) + " · " if len(numbers) > 1 else ""
            changes += render_event(event, WHERE, where)
        return kind_of(events), changes

    return Rendering(render)
