"""The status of the migration's steps: their last runs, what is under way, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from ...base import N_
from ...drift.models import DriftFinding
from ...runs.kinds import kind_of
from ...runs.models import CANCELLED, DONE, ENDED, FAILED, Run
from ...runs.queries import (
    Found,
    Progress,
    followers_of,
    found_by,
    is_unmended,
    progress_of,
)
from ..figures import customer_balance
from .checks import CHECKS, Check
from .lines import StepLine, lines_of, open_rows, ties_out
from .steps import APPLY_WHOLE, KEY, STEP_OF, STEPS, WHOLE, MigrationStep

NEVER, RUNNING, BROKEN, DIFFERS, LEFT_OVER, FINISHED = (
    "never", "running", "broken", "differs", "left", "finished",
)  # fmt: skip

STATES = {
    NEVER: (N_("Not done yet"), "neutral"),
    RUNNING: (N_("Under way"), "info"),
    BROKEN: (N_("Failed"), "bad"),
    DIFFERS: (N_("Differs"), "bad"),
    LEFT_OVER: (N_("Done, some rows need attention"), "warning"),
    FINISHED: (N_("Done"), "good"),
}
"""State of a step → its label and tone."""

_PARTIAL = ("retry", "run", "customers")
"""Scope keys of runs that do not cover the whole book."""


@dataclass(frozen=True)
class StepStatus:
    """The status of one step. `last` is its last run, `preview` a later dry run.

    `applied` is the run that applied that preview; `is_applied`: this or an earlier preview was applied.
    """

    step: MigrationStep
    live: Run | None
    progress: Progress | None
    last: Run | None
    is_broken: bool
    preview: Run | None
    applied: Run | None
    is_applied: bool
    differing: int
    """Rows of the step's figures with open drift findings."""

    @cached_property
    def lines(self) -> Sequence[StepLine]:
        """The lines of the last report that have rows."""
        return [] if self.last is None else _reported(self.last)

    @cached_property
    def previewed(self) -> Sequence[StepLine]:
        """The lines of the preview's report that have rows."""
        return [] if self.preview is None else _reported(self.preview)

    @property
    def newest(self) -> Run | None:
        """The latest run, preview or not."""
        return self.preview or self.last

    @property
    def left(self) -> int:
        """How many rows of the last run a user has to act on."""
        return 0 if self.last is None else open_rows(self.last)

    @property
    def state(self) -> str:
        """The state of the step, one of `STATES`."""
        if self.live is not None:
            return RUNNING
        if self.last is None and not self.is_applied:
            return NEVER
        if self.is_broken:
            return BROKEN
        does_not_tie = self.last is not None and not ties_out(self.last)
        if self.differing or does_not_tie:
            return DIFFERS
        return LEFT_OVER if self.left else FINISHED


def _reported(run: Run) -> list[StepLine]:
    return [line for line in lines_of(run) if line.rows]


@dataclass(frozen=True)
class CheckStatus:
    """One check with the line of its last report; None: it found nothing."""

    check: Check
    line: StepLine | None


def check_statuses(standing: StepStatus) -> list[CheckStatus]:
    """The status of every check, from the step's latest run; none where that did not look at everything."""
    if standing.newest is None or not standing.newest.is_completed:
        return []
    found = {line.name: line for line in _reported(standing.newest)}
    return [CheckStatus(check, found.get(name)) for name, check in CHECKS.items()]


def step_statuses(session: Session) -> list[StepStatus]:
    """The status of every step, in order."""
    live = {run.kind: run for run in _latest(session, Run.finished_at.is_(None))}
    last = {run.kind: run for run in _latest(session, Run.finished_at.is_not(None), ~Run.dry_run)}
    previews = {
        run.kind: run
        for run in _latest(session, Run.finished_at.is_not(None), Run.dry_run.is_(True))
    }
    broken = set(session.scalars(select(Run.id).where(_is_among(last), is_unmended())))
    applied, wrong = _applied(session), _differing(session)
    reported = []
    for step in STEPS:
        done, preview = last.get(step.kind), previews.get(step.kind)
        if done is not None and preview is not None and preview.id < done.id:
            preview = None
        running = live.get(step.kind)
        reported.append(
            StepStatus(
                step=step,
                live=running,
                progress=progress_of(session, running) if running else None,
                last=done,
                is_broken=done is not None and (done.id in broken or done.status in (FAILED, CANCELLED)),
                preview=preview,
                applied=_application_of(session, preview),
                is_applied=step.kind in applied,
                differing=sum(wrong.get(name, 0) for name in _figures(step)),
            )
        )  # fmt: skip
    return reported


def _latest(session: Session, *conditions: ColumnElement[bool]) -> Sequence[Run]:
    """The newest such run of each step, among those that cover the whole book."""
    is_whole = [~Run.scope.has_key(name) for name in _PARTIAL]
    newest = select(Run).ext(distinct_on(Run.kind)).order_by(Run.kind, Run.id.desc())
    return session.scalars(newest.where(Run.kind.in_(STEP_OF), *is_whole, *conditions)).all()


def _is_among(runs: dict[str, Run]) -> ColumnElement[bool]:
    return Run.id.in_([run.id for run in runs.values()])


def _application_of(session: Session, preview: Run | None) -> Run | None:
    """The run that applied the preview, alone or with those of all other steps."""
    if preview is None:
        return None
    earlier = aliased(Run)
    alone = (earlier.id == preview.id) & (Run.kind == kind_of(preview.kind).apply_as)
    same = earlier.scope[KEY].astext == preview.scope.get(KEY)
    with_all = same & (earlier.kind == WHOLE) & (Run.kind == APPLY_WHOLE)
    found = select(Run).join(earlier, earlier.id == Run.follows).where(
        alone | with_all, Run.status == DONE
    )  # fmt: skip
    return session.scalar(found.order_by(Run.id.desc()).limit(1))


@dataclass(frozen=True)
class WholePreview:
    """The last preview of all steps: its findings, and the run that applies them, if there is one."""

    run: Run
    found: Found
    applied: Run | None


def whole_previewed(session: Session) -> WholePreview | None:
    """The last preview of all steps that has ended; None once retention has removed its items."""
    ended = select(Run).where(Run.kind == WHOLE, Run.status.in_(ENDED)).order_by(Run.id.desc())
    run = session.scalar(ended.limit(1))
    if run is None:
        return None
    found = found_by(session, run.id)
    applying = [other for other in followers_of(session, run) if not other.never_began]
    if run.changed and not found.count and not applying:
        return None
    return WholePreview(run, found, applying[-1] if applying else None)


def _applied(session: Session) -> set[str]:
    """The kinds of steps with an applied preview of the whole book."""
    earlier = aliased(Run)
    of_its_kind = [
        (earlier.kind == kind) & (Run.kind == kind_of(kind).apply_as)
        for kind in STEP_OF
        if kind_of(kind).apply_as
    ]
    all_of_them = select(Run.id).where(Run.kind == APPLY_WHOLE, Run.status == DONE)
    if session.scalar(all_of_them.limit(1)) is not None:
        return {kind for kind in STEP_OF if kind_of(kind).apply_as}
    is_whole = [~earlier.scope.has_key(name) for name in _PARTIAL]
    found = select(earlier.kind).distinct().join(Run, Run.follows == earlier.id).where(
        or_(*of_its_kind), earlier.dry_run, Run.status == DONE, *is_whole
    )  # fmt: skip
    return set(session.scalars(found))


def _figures(step: MigrationStep) -> Sequence[str]:
    return [customer_balance.name] if step.number == 5 else list(step.scope.get("figures", ()))


def _differing(session: Session) -> dict[str, int]:
    """Figure → number of its open drift findings."""
    names = [name for step in STEPS for name in _figures(step)]
    found = select(DriftFinding.figure, func.count()).where(
        DriftFinding.healed_at.is_(None), DriftFinding.figure.in_(names)
    )
    return {row[0]: row[1] for row in session.execute(found.group_by(DriftFinding.figure))}
