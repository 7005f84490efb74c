"""The context of an upload's page about its run and its monthly uploads."""

from typing import Any

from sqlalchemy.orm import Session

from ...base import periods
from ...runs.forms import ApplyForm, about
from ...runs.models import Run
from ..kinds import KINDS
from ..models import Import
from .forms import RepeatForm
from .months import months_of, next_due
from .queries import counts_of, has_lines


def run_context(session: Session, upload: Import, form: RepeatForm | None = None) -> dict[str, Any]:
    """The template context; `run` is None for an upload without a run."""
    is_by_line = KINDS[upload.kind].results is not None
    found: dict[str, Any] = {"run": None, "months": (), "next_due": None, "repeat_form": None}
    if upload.run_id is not None:
        found |= about(session.get_one(Run, upload.run_id), ApplyForm())
        found |= {
            "counts": counts_of(session, upload.id),
            "has_lines": has_lines(session, upload.id),
        }
    if upload.repeat_day is not None:
        found["months"] = months_of(session, upload)
    if upload.state == "repeating":
        found["next_due"] = next_due(session, upload, periods.today())
    if is_by_line and upload.state == "checked":
        found["repeat_form"] = form or RepeatForm(periods.today())
    return found
