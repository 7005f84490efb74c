"""Housekeeping: quiet runs that delete expired rows, in transactions of a few thousand rows; idempotent."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    delete,
    exists,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import aliased

from ..base import N_, Base, table_of
from ..figures.models import Correction
from ..imports.models import Import, ImportContent, ImportLine, ImportOutcome, ImportProblem
from ..people.models import ApiRequest, IdempotencyKey, WebSession
from ..reconciliation.models import Reconciliation
from ..runs.kinds import RunKind, kinds
from ..runs.models import Run, RunItem
from ..runs.work import Asked, Chunk, Work

KEYS_ARE_KEPT = timedelta(days=7)
"""How long the response to a form is kept for repeated submissions."""

UPLOADS_ARE_KEPT = timedelta(days=90)
"""How long the rejected rows of a file can be downloaded."""

ITEMS_ARE_KEPT = timedelta(days=90)
"""How long the items of a run are kept."""

REPORTS_ARE_KEPT = timedelta(days=90)
"""How long a nightly reconciliation can be downloaded."""

QUIET_RUNS_ARE_KEPT = timedelta(days=14)
"""How long a finished housekeeping run is kept."""

AT_ONCE = 5_000
"""Rows deleted in one transaction."""


@dataclass(frozen=True)
class Old:
    """Rows of a table that are no longer needed; with `column`, only that list is emptied."""

    model: type[Base]
    condition: ColumnElement[bool]
    column: str = ""


def expired_sessions() -> Iterable[Old]:
    """Expired browser sessions."""
    return [Old(WebSession, WebSession.expires_at < func.now())]


def old_idempotency_keys() -> Iterable[Old]:
    """Stored responses that no browser and no program will request again."""
    return [
        Old(model, _before(model.created_at, KEYS_ARE_KEPT))
        for model in (IdempotencyKey, ApiRequest)
    ]


def old_uploads() -> Iterable[Old]:
    """The content of files that were uploaded long ago, with what their dry run kept; the record of the import stays.

    Not of files that are being applied.
    """
    is_needed = Import.state == "applying"
    old = select(Import.id).where(_before(Import.created_at, UPLOADS_ARE_KEPT), ~is_needed)
    kept = (ImportContent, ImportProblem, ImportLine)
    of_dry_run = ImportOutcome.import_id.in_(old) & (ImportOutcome.rows != [])
    return [
        *(Old(model, model.import_id.in_(old)) for model in kept),
        Old(ImportOutcome, of_dry_run, "rows"),
    ]


def old_run_items() -> Iterable[Old]:
    """The items of old runs; the runs and the corrections stay.

    Not those that a live run still has to apply or to retry: it may have waited for its approval that long.
    """
    later = aliased(Run)
    is_needed = exists().where(later.follows == Run.id, later.finished_at.is_(None))
    finished = select(Run.id).where(_before(Run.finished_at, ITEMS_ARE_KEPT), ~is_needed)
    return [Old(RunItem, RunItem.run_id.in_(finished))]


def old_reconciliations() -> Iterable[Old]:
    """Nightly reconciliations, with their files."""
    return [Old(Reconciliation, _before(Reconciliation.created_at, REPORTS_ARE_KEPT))]


def old_quiet_runs() -> Iterable[Old]:
    """Old housekeeping runs; not those that a correction or a later run refers to."""
    later = aliased(Run)
    quiet = [kind.name for kind in kinds().values() if kind.is_quiet]
    is_referred_to = exists().where(later.follows == Run.id) | exists().where(
        Correction.run_id == Run.id
    )
    old = _before(Run.finished_at, QUIET_RUNS_ARE_KEPT)
    return [Old(Run, Run.kind.in_(quiet) & old & ~is_referred_to)]


def _before(moment: Any, age: timedelta) -> ColumnElement[bool]:
    return moment < func.now() - age  # type: ignore[no-any-return]


CHORES: dict[str, Callable[[], Iterable[Old]]] = {
    "expired-sessions": expired_sessions,
    "idempotency-keys": old_idempotency_keys,
    "uploads": old_uploads,
    "run-items": old_run_items,
    "reconciliations": old_reconciliations,
    "quiet-runs": old_quiet_runs,
}
"""Name of a chore → the rows that it deletes."""


def _plan(_connection: Connection, asked: Asked) -> Iterator[Chunk]:
    yield Chunk({"chore": asked.scope["chore"]})


def _work(work: Work) -> None:
    for old in CHORES[work.payload["chore"]]():
        while _remove(work, old):
            pass


def _remove(work: Work, old: Old) -> int:
    """Delete one batch of them, or empty their column; returns the number of rows."""
    table = table_of(old.model)
    key = table.primary_key.columns
    some = tuple_(*key).in_(select(*key).where(old.condition).limit(AT_ONCE))
    removed = (
        update(table).where(some).values({old.column: []})
        if old.column
        else delete(table).where(some)
    )
    with work.transaction() as step:
        count = step.connection.execute(removed).rowcount
        step.tally.checked += count
        step.tally.changed += count
    return count


CHORE = RunKind("chore", N_("Housekeeping"), "schedules.run", _plan, _work, is_quiet=True)

KINDS = (CHORE,)
