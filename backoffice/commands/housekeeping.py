"""Chores that keep the house clean: quiet runs, in transactions of a few thousand rows, safe to do twice."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select, tuple_
from sqlalchemy.orm import aliased

from ..base import N_, Base, table_of
from ..figures.models import Correction
from ..imports.models import Import, ImportContent, ImportLine, ImportProblem
from ..people.models import ApiRequest, IdempotencyKey, WebSession
from ..reconciliation.models import Reconciliation
from ..runs.kinds import RunKind, kinds
from ..runs.models import Run, RunItem
from ..runs.work import Asked, Chunk, Work

KEYS_ARE_KEPT = timedelta(days=7)
"""How long the answer to a form is remembered for its repetitions."""

UPLOADS_ARE_KEPT = timedelta(days=90)
"""How long a user may want to download the bad rows of a file."""

ITEMS_ARE_KEPT = timedelta(days=90)
"""How long a user may want to know what a run did to every single thing."""

REPORTS_ARE_KEPT = timedelta(days=90)
"""How long a user may want to download a nightly reconciliation."""

QUIET_RUNS_ARE_KEPT = timedelta(days=14)
"""How long a user may want to know that a chore was done."""

AT_ONCE = 5_000
"""Rows removed in one transaction."""


@dataclass(frozen=True)
class Old:
    """Rows of a table that nobody will ask for any more."""

    model: type[Base]
    condition: ColumnElement[bool]


def expired_sessions() -> Iterable[Old]:
    """Browsers whose session has ended."""
    return [Old(WebSession, WebSession.expires_at < func.now())]


def old_idempotency_keys() -> Iterable[Old]:
    """Answers that no browser and no program will ask for again."""
    return [
        Old(model, _before(model.created_at, KEYS_ARE_KEPT))
        for model in (IdempotencyKey, ApiRequest)
    ]


def old_uploads() -> Iterable[Old]:
    """The bytes of files that were uploaded long ago, and what was wrong in them; who, when and what stays.

    Not of files that are carried out every month, or are being so.
    """
    is_needed = Import.state.in_(("repeating", "applying"))
    old = select(Import.id).where(_before(Import.created_at, UPLOADS_ARE_KEPT), ~is_needed)
    kept = (ImportContent, ImportProblem, ImportLine)
    return [Old(model, model.import_id.in_(old)) for model in kept]


def old_run_items() -> Iterable[Old]:
    """What runs did to single things; the runs and the corrections stay.

    Not what a live run still has to apply or to do again: it may have waited for its approval that long.
    """
    later = aliased(Run)
    is_needed = exists().where(later.follows == Run.id, later.finished_at.is_(None))
    finished = select(Run.id).where(_before(Run.finished_at, ITEMS_ARE_KEPT), ~is_needed)
    return [Old(RunItem, RunItem.run_id.in_(finished))]


def old_reconciliations() -> Iterable[Old]:
    """Nightly reconciliations, with their files."""
    return [Old(Reconciliation, _before(Reconciliation.created_at, REPORTS_ARE_KEPT))]


def old_quiet_runs() -> Iterable[Old]:
    """Housekeeping that is long done; not what a correction or a later run refers to."""
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
"""Name → what it removes."""


def _plan(_connection: Connection, asked: Asked) -> Iterator[Chunk]:
    yield Chunk({"chore": asked.scope["chore"]})


def _work(work: Work) -> None:
    for old in CHORES[work.payload["chore"]]():
        while _remove(work, old):
            pass


def _remove(work: Work, old: Old) -> int:
    """Remove some of them; answers how many."""
    key = table_of(old.model).primary_key.columns
    some = select(*key).where(old.condition).limit(AT_ONCE)
    with work.transaction() as step:
        count = step.connection.execute(delete(old.model).where(tuple_(*key).in_(some))).rowcount
        step.tally.checked += count
        step.tally.changed += count
    return count


CHORE = RunKind("chore", N_("Housekeeping"), "schedules.run", _plan, _work, is_quiet=True)

KINDS = (CHORE,)
