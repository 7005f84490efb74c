"""The context of an upload's page about its run."""

from typing import Any

from sqlalchemy.orm import Session

from ...runs.forms import ApplyForm, about
from ...runs.models import Run
from ..models import Import
from .queries import counts_of, has_lines


def run_context(session: Session, upload: Import) -> dict[str, Any]:
    """The template context; `run` is None for an upload without a run."""
    if upload.run_id is None:
        return {"run": None}
    return {
        **about(session.get_one(Run, upload.run_id), ApplyForm()),
        "counts": counts_of(session, upload.id),
        "has_lines": has_lines(session, upload.id),
    }
