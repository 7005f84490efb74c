"""Requests to process files line by line. Nothing here commits."""

from sqlalchemy.orm import Session

from ...runs import actions as runs
from ...runs.models import Run
from ..models import Import
from .outcomes import create_outcome
from .runs import LINES


def request_run(
    session: Session, upload: Import, *, is_here: bool = False, is_paced: bool = True
) -> Run:
    """Request a run that processes the lines; with `is_here` the caller performs it. Raises AlreadyRunning."""
    scope = {"import": upload.id}
    run = runs.request(session, LINES.name, scope, is_here=is_here, is_paced=is_paced)
    upload.state, upload.run_id = "applying", run.id
    session.flush()
    create_outcome(session, upload)
    return run
