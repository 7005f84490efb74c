"""What voidable documents share: the status, the reason, and how voiding is rendered in a history."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from ..audit.models import AuditEvent
from ..base import N_
from ..records import Choice, Field, Notes, Rendering
from .rules import POSTED, REASON_LENGTH, VOID

STATUSES = {POSTED: N_("Posted"), VOID: N_("Void")}
STATUS_TONES = {POSTED: "good", VOID: "neutral"}
"""The status of a document on screen."""


def kept_of(model: Any) -> Sequence[Field]:
    """The fields that only voiding changes."""
    return (
        Choice(model.status, N_("Status"), words=STATUSES),
        Notes(model.void_reason, N_("Why it is void")),
    )


def reason_of(model: Any) -> Field:
    """The field of the reason that voiding requires."""
    return Notes(
        model.void_reason, N_("Reason"), called="reason", longest=REASON_LENGTH,
        required=N_("Say why it becomes void. The reason is kept with it."),
    )  # fmt: skip


def void_rendered(_session: Session, _document: Any, _events: Sequence[AuditEvent]) -> Rendering:
    """A rendering in which a save that voids the document is of kind "void"."""
    return Rendering(lambda events: (kind_of(events), ()))


def kind_of(events: Sequence[AuditEvent]) -> str:
    """The kind of a save: "void" if it voids the document, else empty."""
    return "void" if any((event.after or {}).get("status") == VOID for event in events) else ""
