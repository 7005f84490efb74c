"""Runs over figures, performed by a command in its own process, without a worker or Redis."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ... import figures as core
from ...base import N_
from ...figures import Check, Figure
from ...figures.declaring.checks import Compared
from ...figures.errors import AnotherDefinition
from ...runs import actions
from ...runs.errors import AlreadyRunning, EndedBadly, NothingToResume, StillWaiting
from ...runs.kinds import kind_of
from ...runs.models import (
    AWAITING_APPROVAL,
    DONE,
    ITEM_FAILED,
    SKIPPED,
    Run,
    RunItem,
)
from ...runs.queries import progress_of, run_of
from ...runs.working import perform
from ..findings import as_reported, reported_now
from ..queries import found_in
from ..verification import checks
from ..verification.chunks import ANOTHER
from ..verification.scope import scope_of

LOOK_AGAIN_SECONDS = 0.2

Progress = Callable[[int], None]
Scope = Mapping[str, Any]


@dataclass(frozen=True)
class Performed:
    """A run that has ended, and what could not be corrected or was skipped: (subject, owner, why)."""

    run: Run
    failures: Sequence[tuple[str, int | None, str]]

    @property
    def is_clean(self) -> bool:
        """Whether it completed, skipped nothing, and as a dry run found nothing."""
        is_done = self.run.status == "done" and not self.run.skipped
        return is_done and not (self.run.dry_run and self.run.changed)


def heal(
    engine: Engine,
    figures: Sequence[Figure] | None = None,
    owners: Iterable[int] | None = None,
    *,
    every_owner: bool = False,
    dry_run: bool = False,
    reason: str = "",
    progress: Progress | None = None,
    scope: Scope | None = None,
) -> Performed:
    """Heal (or with `every_owner` rebuild) these figures of these owners; None: all. Not paced.

    `scope`, a run's scope, replaces both.

    Raises AlreadyRunning, EndedBadly.
    """
    kind = "figures.rebuild" if every_owner else "figures.heal"
    with Session(engine) as session:
        run = actions.request(
            session, kind, scope_of(figures, owners) if scope is None else scope,
            dry_run=dry_run, reason=reason, is_paced=False, is_here=True,
        )  # fmt: skip
        run_id = run.id
        session.commit()
    return _ended(performed(engine, run_id, progress))


@dataclass(frozen=True)
class Verified:
    """The findings of a verification, each as `as_reported` returns it; no run: it could not be recorded."""

    run: Run | None
    findings: Sequence[dict[str, Any]]
    unrecorded: str = ""
    """Why it could not be recorded, as a sentence to be translated."""
    not_ours: Sequence[str] = ()
    """The figures that were not verified: the database keeps them by another definition."""
    checks: Sequence[str] = ()
    """The checks that were compared as well."""
    differing: Sequence[dict[str, Any]] = ()
    """The checks that differ, each as `checks.as_reported` returns it."""

    @property
    def is_right(self) -> bool:
        """Whether nothing wrong was found."""
        return not self.findings and not self.differing

    @property
    def is_whole(self) -> bool:
        """Whether everything was verified."""
        return not self.not_ours and (self.run is None or self.run.status == DONE)


READ_ONLY = N_("What was found could not be recorded: this database takes no writes.")
NO_RIGHT = N_("What was found could not be recorded: the database user has no right to.")
UNDER_WAY = N_("What was found was not recorded: another run verifies the same at the moment.")
_REFUSED = {"25006": READ_ONLY, "42501": NO_RIGHT}
"""SQL states in which nothing can be recorded, although everything can be compared."""


def verify(
    engine: Engine,
    figures: Sequence[Figure] | None = None,
    owners: Sequence[int] | None = None,
    *,
    progress: Progress | None = None,
) -> Verified:
    """Verify these figures of these owners (None: all) as a worker does: findings are recorded, or closed.

    Where that cannot be recorded they are compared all the same.
    """
    try:
        with Session(engine) as session:
            run = actions.request(
                session, "figures.verify", scope_of(figures, owners), is_paced=False, is_here=True
            )
            run_id = run.id
            session.commit()
    except AlreadyRunning:
        return _compared(engine, figures, owners, UNDER_WAY, progress)
    except DBAPIError as error:
        reason = _REFUSED.get(getattr(error.orig, "sqlstate", None) or "")
        if reason is None:
            raise
        return _compared(engine, figures, owners, reason, progress)
    done = performed(engine, run_id, progress)
    refused = {name for name, _owner, error in done.failures if error == ANOTHER}
    not_ours = [f.name for b in core.registry.bundles if b.name in refused for f in b.figures]
    with Session(engine) as session:
        found = [as_reported(vars(finding)) for finding in found_in(session, figures, owners)]
        compared = _checks(figures, owners)
        apart = checks.found(session.connection(), compared)
    return Verified(
        done.run,
        found,
        not_ours=sorted(not_ours),
        checks=[c.name for c in compared],
        differing=apart,
    )


def record_checks(engine: Engine, seen: Iterable[Compared]) -> str:
    """Record these comparisons, or close their findings. Returns why they could not be recorded."""
    try:
        with engine.begin() as connection:
            for compared in seen:
                checks.settle(connection, compared.check, compared)
    except DBAPIError as error:
        reason = _REFUSED.get(getattr(error.orig, "sqlstate", None) or "")
        if reason is None:
            raise
        return reason
    return ""


def is_wrong_still(engine: Engine) -> bool:
    """Whether any finding is open: of a figure, or of two sums that differ."""
    with Session(engine) as session:
        every_check = _checks(None, None)
        is_apart = bool(checks.found(session.connection(), every_check))
        return is_apart or bool(found_in(session, None, None))


def _checks(figures: Sequence[Figure] | None, owners: Sequence[int] | None) -> list[Check]:
    """The checks that belong to a verification of these figures and owners."""
    if owners is not None:
        return []
    chosen = core.registry.bundles_of(figures or core.registry.figures)
    return checks.reading(figure for bundle in chosen for figure in bundle.figures)


def _compared(
    engine: Engine,
    figures: Sequence[Figure] | None,
    owners: Sequence[int] | None,
    reason: str,
    progress: Progress | None,
) -> Verified:
    found: list[dict[str, Any]] = []
    try:
        found.extend(
            reported_now(f) for f in core.verify(engine, figures, owners, progress=progress)
        )
    except AnotherDefinition as other:
        return Verified(None, found, reason, other.names)
    compared = _checks(figures, owners)
    with engine.connect() as connection:
        seen = [checks.as_reported(c.compare(connection)) for c in compared]
    apart = [one for one in seen if Decimal(one["gross"])]
    return Verified(None, found, reason, checks=[c.name for c in compared], differing=apart)


def resume(engine: Engine, run_id: int) -> Performed:
    """Continue a live run here. Raises UnknownRun, NothingToResume, StillWaiting, UnknownKind, EndedBadly."""
    with Session(engine) as session:
        run = run_of(session, run_id)
        if not run.is_live:
            raise NothingToResume(run=run_id)
        if run.status == AWAITING_APPROVAL:
            raise StillWaiting(run=run_id)
        kind_of(run.kind)
    return _ended(performed(engine, run_id))


def _ended(done: Performed) -> Performed:
    """The result of a run that has ended. Raises EndedBadly."""
    if not done.run.is_completed:
        raise EndedBadly(done.run)
    return done


def performed(engine: Engine, run_id: int, progress: Progress | None = None) -> Performed:
    """Work on the run until it has ended, alongside any workers; returns its result."""
    while True:
        perform(engine, run_id, progress=lambda: _report(engine, run_id, progress))
        with Session(engine, expire_on_commit=False) as session:
            run = run_of(session, run_id)
            if not run.is_live:
                return Performed(run, failures_of(session, run_id))
        time.sleep(LOOK_AGAIN_SECONDS)


def _report(engine: Engine, run_id: int, progress: Progress | None) -> None:
    if progress is None:
        return
    with Session(engine) as session:
        progress(progress_of(session, run_of(session, run_id)).checked)


def failures_of(session: Session, run_id: int) -> list[tuple[str, int | None, str]]:
    """What the run could not correct or has skipped: (bundle or figure, owner, why)."""
    found = select(RunItem.subject, RunItem.owner, RunItem.error).where(
        RunItem.run_id == run_id, RunItem.outcome.in_((ITEM_FAILED, SKIPPED))
    )
    rows: Iterable[Any] = session.execute(found.order_by(RunItem.id))
    return [(row.subject, row.owner, row.error) for row in rows]
