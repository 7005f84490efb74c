"""How the migration stands: what became of each step last, what is under way, what is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from ...base import N_
from ...drift.models import DriftFinding
from ...runs.kinds import kind_of
from ...runs.models import CANCELLED, DONE, FAILED, Run
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
    LEFT_OVER: (N_("Done, rows are left"), "warning"),
    FINISHED: (N_("Done"), "good"),
}
"""State of a step → its word and tone."""

_PARTIAL = ("retry", "run", "customers")
"""Scopes of runs that don't look at the whole book."""


@dataclass(frozen=True)
class Standing:
    """How one step stands. `last` was the last time that it was done, `preview` what was asked since.

    `applied` has applied that preview; `is_applied`: what a preview found was, this one or an earlier one.
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
    """Rows of the step's figures that are known to be wrong now."""

    @cached_property
    def lines(self) -> Sequence[StepLine]:
        """The last report, without what comes to nothing."""
        return [] if self.last is None else _reported(self.last)

    @cached_property
    def previewed(self) -> Sequence[StepLine]:
        """The same of the preview."""
        return [] if self.preview is None else _reported(self.preview)

    @property
    def newest(self) -> Run | None:
        """The last time that it was looked at, be it only for a preview."""
        return self.preview or self.last

    @property
    def left(self) -> int:
        """How many rows a user has something to do about."""
        return 0 if self.last is None else open_rows(self.last)

    @property
    def state(self) -> str:
        """One word for it."""
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
class Checked:
    """One check, and what the last look at it has found; no line: nothing, or nobody has looked."""

    check: Check
    line: StepLine | None


def checked(standing: Standing) -> list[Checked]:
    """Every check, with what the step has found last."""
    found = {line.name: line for line in _reported(standing.newest)} if standing.newest else {}
    return [Checked(check, found.get(name)) for name, check in CHECKS.items()]


def standings(session: Session) -> list[Standing]:
    """Every step, in order."""
    live = {run.kind: run for run in _latest(session, Run.finished_at.is_(None))}
    last = {run.kind: run for run in _latest(session, Run.finished_at.is_not(None), ~Run.dry_run)}
    previews = {
        run.kind: run
        for run in _latest(session, Run.finished_at.is_not(None), Run.dry_run.is_(True))
    }
    broken = set(session.scalars(select(Run.id).where(_is_one_of(last), is_unmended())))
    applied, wrong = _applied(session), _differing(session)
    reported = []
    for step in STEPS:
        done, preview = last.get(step.kind), previews.get(step.kind)
        if done is not None and preview is not None and preview.id < done.id:
            preview = None
        running = live.get(step.kind)
        reported.append(
            Standing(
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
    """The newest such run of each step, of those that look at the whole book."""
    is_whole = [~Run.scope.has_key(name) for name in _PARTIAL]
    newest = select(Run).ext(distinct_on(Run.kind)).order_by(Run.kind, Run.id.desc())
    return session.scalars(newest.where(Run.kind.in_(STEP_OF), *is_whole, *conditions)).all()


def _is_one_of(runs: dict[str, Run]) -> ColumnElement[bool]:
    return Run.id.in_([run.id for run in runs.values()])


def _application_of(session: Session, preview: Run | None) -> Run | None:
    """The run that has applied what the preview found, alone or with all other steps'."""
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
class Whole:
    """The last preview of all steps: what it would change, and the run that applies it, if any does."""

    run: Run
    found: Found
    applied: Run | None


def whole_previewed(session: Session) -> Whole | None:
    """The last preview of all steps that came to its end; None once its rows were removed after their time."""
    ended = select(Run).where(Run.kind == WHOLE, Run.status == DONE).order_by(Run.id.desc())
    run = session.scalar(ended.limit(1))
    if run is None:
        return None
    found = found_by(session, run.id)
    applying = [other for other in followers_of(session, run) if not other.never_began]
    if run.changed and not found.count and not applying:
        return None
    return Whole(run, found, applying[-1] if applying else None)


def _applied(session: Session) -> set[str]:
    """The kinds of which what a preview of the whole book has found was applied."""
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
    """Figure → rows of it that are known to be wrong."""
    names = [name for step in STEPS for name in _figures(step)]
    found = select(DriftFinding.figure, func.count()).where(
        DriftFinding.healed_at.is_(None), DriftFinding.figure.in_(names)
    )
    return {row[0]: row[1] for row in session.execute(found.group_by(DriftFinding.figure))}
