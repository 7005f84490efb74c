"""What is known of an upload before its lines have their turn, and what came of it afterwards."""

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ...base import N_, table_of
from ..models import Import, ImportLine, ImportOutcome, ImportProblem
from .queries import amount_done, counts_of


def begin(session: Session, upload: Import) -> None:
    """What is known of an upload before any line had its turn, where no dry run has said it."""
    empty = {"sample": [], "totals": [], "must_be_whole": False, "went_through": True}
    made = upsert(ImportOutcome).values(import_id=upload.id, fingerprint="", **empty)
    session.execute(made.on_conflict_do_nothing())


def report_back(session: Session, upload: Import) -> None:
    """Count what became of the lines, and keep what was refused as what is wrong with the files.

    Where lines still wait, because a part of the run has failed, the upload stays under way.
    """
    counts = counts_of(session, upload.id)
    upload.created, upload.unchanged, upload.bad_lines = counts.done, counts.already, counts.refused
    if not counts.waiting:
        upload.state = "applied"
        upload.applied_at = session.scalars(select(func.clock_timestamp())).one()
    total = [[N_("Amount"), str(amount_done(session, upload.id))]]
    reported = {"sample": [], "totals": total, "moved": {}, "went_through": counts.done > 0}
    made = upsert(ImportOutcome).values(
        import_id=upload.id, fingerprint="", must_be_whole=False, **reported
    )
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
