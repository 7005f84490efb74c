"""Requests to process files line by line, now or every month. Nothing here commits."""

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...runs import actions as runs
from ...runs.models import Run
from ..models import Import
from ..refusals import NotRepeated
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


def repeat(session: Session, upload: Import, *, day: int, month: date) -> None:
    """Repeat the upload every month on that day, from that month on, with keys of each month."""
    upload.state, upload.repeat_day, upload.repeat_from = "repeating", day, month
    session.flush()


def end_repeating(session: Session, import_id: int, *, user_id: int) -> Import:
    """End the repetition; what was done stays. Raises NotRepeated."""
    chosen = select(Import).where(Import.id == import_id).with_for_update()
    upload = session.scalars(chosen.execution_options(populate_existing=True)).one()
    if upload.state != "repeating":
        raise NotRepeated()
    upload.state, upload.applied_by_id = "ended", user_id
    upload.applied_at = session.scalars(select(func.clock_timestamp())).one()
    session.flush()
    return upload
