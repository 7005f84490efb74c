"""All six steps as one: each a run of its own, which asks for the next one in the transaction that ends it.

So whoever dies, and wherever, either the step goes on or the next one is asked for. The steps of one
migration share a moment in their scope, `migration`, by which they are known.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, exists, func, select
from sqlalchemy.orm import Session

from ...base import N_, periods
from ...base.actor import acting_as
from ...drift.verification.scope import LAST
from ...figures import registry
from ...figures.computing.relations import BETWEEN
from ...figures.computing.statements import suspects
from ...runs import actions
from ...runs.errors import AlreadyRunning
from ...runs.models import CHUNK_FAILED, DONE, Run
from ...runs.work import CHUNKS, RUNS, Asked
from ..figures import invoice_amount
from .documents import is_left_to_do
from .steps import KEY, STEP_OF, STEPS, WHOLE, MigrationStep, after

Finish = Callable[[Connection, Asked], Mapping[str, Any]]

SCOPES = ((KEY, N_("a step of a migration")),)


def ask(
    session: Session,
    step: MigrationStep,
    *,
    dry_run: bool = False,
    is_here: bool = False,
    is_paced: bool = True,
) -> Run:
    """Ask for one step alone. Raises AlreadyRunning."""
    return actions.request(
        session, step.kind, step.scope, dry_run=dry_run, is_here=is_here, is_paced=is_paced
    )


def begin(
    session: Session, *, dry_run: bool = False, is_here: bool = False, is_paced: bool = True
) -> Run:
    """Ask for the whole migration: its first step that is not finished; a dry run looks at all of them.

    Raises AlreadyRunning: another migration is under way; `run_id` is its step.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("billing.migration"))))
    if (live := under_way(session, dry_run=dry_run)) is not None:
        raise AlreadyRunning(run=live.id)
    now = datetime.now(UTC).astimezone(periods.timezone())
    first = STEPS[0] if dry_run else first_unfinished(session)
    return actions.request(
        session, first.kind, {**first.scope, KEY: now.isoformat(" ", "milliseconds")},
        dry_run=dry_run, is_here=is_here, is_paced=is_paced,
    )  # fmt: skip


def under_way(session: Session, *, dry_run: bool) -> Run | None:
    """The step at which a whole migration is now."""
    live = select(Run).where(
        Run.kind.in_([*STEP_OF, WHOLE]),
        Run.finished_at.is_(None),
        Run.dry_run == dry_run,
        Run.scope.has_key(KEY),
    )
    return session.scalar(live.order_by(Run.id).limit(1))


def first_unfinished(session: Session) -> MigrationStep:
    """The step to begin at: one that was done, and would find nothing to do now, is not begun again.

    From the third one on a step is the only way to know; where it finds nothing it writes nothing.
    """
    for step, is_left in zip(STEPS, (is_left_to_do, _has_wrong_amounts), strict=False):
        if last_done(session, step) is None or is_left(session.connection()):
            return step
    return STEPS[2]


def last_done(session: Session, step: MigrationStep) -> Run | None:
    """The last time that the step was done, without any failure."""
    done = select(Run).where(Run.kind == step.kind, Run.status == DONE, ~Run.dry_run)
    return session.scalar(done.order_by(Run.id.desc()).limit(1))


def _has_wrong_amounts(connection: Connection) -> bool:
    bundle = registry.bundle_of(registry.get(invoice_amount.name))
    wrong = suspects(registry, bundle, BETWEEN)
    return wrong.run(connection, low=0, high=LAST).first() is not None


def going_on(finish: Finish) -> Finish:
    """`finish` of a step's kind, which then asks for the next step where the whole migration was asked for."""

    def finish_and_go_on(connection: Connection, asked: Asked) -> Mapping[str, Any]:
        result = finish(connection, asked)
        following = _following(asked) if KEY in asked.scope and "run" not in asked.scope else None
        if following is not None and _may_go_on(connection, asked):
            _request(connection, asked, *following)
        return result

    return finish_and_go_on


def _following(run: Asked | Run) -> tuple[str, Mapping[str, Any]] | None:
    """Kind and scope of what comes after a step; after the last preview the list of all that was found."""
    step = after(STEP_OF[run.kind])
    if step is not None:
        return step.kind, step.scope
    return (WHOLE, {}) if run.dry_run else None


def _may_go_on(connection: Connection, asked: Asked) -> bool:
    """Not past a part that was given up; nor a second time, where a retry does what was left."""
    given_up = exists().where(CHUNKS.c.run_id == asked.id, CHUNKS.c.status == CHUNK_FAILED)
    first = int(asked.scope.get("retry", asked.id))
    same = RUNS.c.scope[KEY].astext == asked.scope[KEY]
    went_on = exists().where(RUNS.c.id > first, same, RUNS.c.kind != asked.kind)
    return not connection.scalar(select(given_up | went_on))


def _request(connection: Connection, asked: Asked, kind: str, scope: Mapping[str, Any]) -> None:
    """Ask for the next step as this one was asked for; it follows this one, unless this has failures.

    A run that another one follows counts as mended.
    """
    mine = select(RUNS.c.is_here).where(RUNS.c.id == asked.id)
    failures = select(func.coalesce(func.sum(CHUNKS.c.failed), 0)).where(
        CHUNKS.c.run_id == asked.id
    )
    with (
        acting_as(asked.requested_by),
        Session(connection, join_transaction_mode="create_savepoint") as session,
    ):
        actions.request(
            session, kind, {**scope, KEY: asked.scope[KEY]},
            dry_run=asked.dry_run, is_here=bool(connection.scalar(mine)), is_paced=asked.is_paced,
            follows=None if connection.scalar(failures) else asked.id,
        )  # fmt: skip
        session.commit()  # of its savepoint; the run's last transaction goes on


def next_of(session: Session, run: Run) -> Run | None:
    """What was asked for when this step ended: the next one, or the list of all that was found."""
    following = _following(run) if run.kind in STEP_OF and KEY in run.scope else None
    if following is None:
        return None
    later = select(Run).where(
        Run.id > run.id, Run.kind == following[0], Run.scope[KEY].astext == run.scope[KEY]
    )
    return session.scalar(later.order_by(Run.id).limit(1))
