"""The outcome of an upload that is processed line by line, before and after its run."""

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ...base import N_, table_of
from ..models import Import, ImportLine, ImportOutcome, ImportProblem
from .queries import amount_done, counts_of


def create_outcome(session: Session, upload: Import) -> None:
    """Create the initial outcome of an upload, unless a dry run has created one."""
    empty = {"sample": [], "totals": [], "must_be_whole": False, "went_through": True}
    made = upsert(ImportOutcome).values(import_id=upload.id, **empty)
    session.execute(made.on_conflict_do_nothing())


def update_outcome(session: Session, upload: Import) -> None:
    """Count the outcomes of the lines, and store the refused ones as problems of the files.

    While lines still wait, because a chunk of the run has failed, the upload keeps its state.
    """
    counts = counts_of(session, upload.id)
    upload.created, upload.unchanged, upload.bad_lines = counts.done, counts.already, counts.refused
    if not counts.waiting:
        upload.state = "applied"
        upload.applied_at = session.scalars(select(func.clock_timestamp())).one()
    total = [[N_("Amount"), str(amount_done(session, upload.id))]]
    reported = {"sample": [], "totals": total, "moved": {}, "went_through": counts.done > 0}
    made = upsert(ImportOutcome).values(import_id=upload.id, must_be_whole=False, **reported)
    session.execute(
        made.on_conflict_do_update(index_elements=[ImportOutcome.import_id], set_=reported)
    )
    _keep_problems(session, upload.id)


def _keep_problems(session: Session, import_id: int) -> None:
    session.execute(delete(ImportProblem).where(ImportProblem.import_id == import_id))
    names = ("import_id", "n", "file", "line", "column", "message", "params")
    refused = select(*(getattr(ImportLine, name) for name in names)).where(
        ImportLine.import_id == import_id, ImportLine.outcome == "refused"
    )
    problems = table_of(ImportProblem)
    session.execute(insert(problems).from_select(list(names), refused))
