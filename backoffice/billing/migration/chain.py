"""The whole migration: each step is a run of its own, which requests the next in the transaction that ends it.

So wherever a worker dies, either the step continues or the next one has been requested. The steps of
one migration share the time of its start in their scope, as `migration`.
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


def request_step(
    session: Session,
    step: MigrationStep,
    *,
    dry_run: bool = False,
    is_here: bool = False,
    is_paced: bool = True,
) -> Run:
    """Request one step alone. Raises AlreadyRunning."""
    return actions.request(
        session, step.kind, step.scope, dry_run=dry_run, is_here=is_here, is_paced=is_paced
    )


def request_all(
    session: Session, *, dry_run: bool = False, is_here: bool = False, is_paced: bool = True
) -> Run:
    """Request the whole migration, from its first unfinished step; a dry run begins with the list of all changes.

    Raises AlreadyRunning: another migration is under way; `run_id` is its present step.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("billing.migration"))))
    if (live := under_way(session, dry_run=dry_run)) is not None:
        raise AlreadyRunning(run=live.id)
    now = datetime.now(UTC).astimezone(periods.timezone())
    first = None if dry_run else first_unfinished(session)
    kind, scope = (WHOLE, {}) if first is None else (first.kind, first.scope)
    return actions.request(
        session, kind, {**scope, KEY: now.isoformat(" ", "milliseconds")},
        dry_run=dry_run, is_here=is_here, is_paced=is_paced,
    )  # fmt: skip


def under_way(session: Session, *, dry_run: bool) -> Run | None:
    """The live run of a whole migration, if there is one."""
    live = select(Run).where(
        Run.kind.in_([*STEP_OF, WHOLE]),
        Run.finished_at.is_(None),
        Run.dry_run == dry_run,
        Run.scope.has_key(KEY),
    )
    return session.scalar(live.order_by(Run.id).limit(1))


def first_unfinished(session: Session) -> MigrationStep:
    """The first step to run: a step that was done, and has nothing to do now, is skipped.

    From the third step on this is not known in advance; a step with nothing to do writes nothing.
    """
    for step, is_left in zip(STEPS, (is_left_to_do, _has_wrong_amounts), strict=False):
        if last_done(session, step) is None or is_left(session.connection()):
            return step
    return STEPS[2]


def last_done(session: Session, step: MigrationStep) -> Run | None:
    """The last run of the step that ended without failures."""
    done = select(Run).where(Run.kind == step.kind, Run.status == DONE, ~Run.dry_run)
    return session.scalar(done.order_by(Run.id.desc()).limit(1))


def _has_wrong_amounts(connection: Connection) -> bool:
    bundle = registry.bundle_of(registry.get(invoice_amount.name))
    wrong = suspects(registry, bundle, BETWEEN)
    return wrong.run(connection, low=0, high=LAST).first() is not None


def with_next_step(finish: Finish) -> Finish:
    """`finish` of a step's kind, which then requests the next step if it is part of a whole migration."""

    def finish_and_continue(connection: Connection, asked: Asked) -> Mapping[str, Any]:
        result = finish(connection, asked)
        following = _next_step(asked) if KEY in asked.scope and "run" not in asked.scope else None
        if following is not None and _may_continue(connection, asked):
            _request(connection, asked, *following)
        return result

    return finish_and_continue


def _next_step(run: Asked | Run) -> tuple[str, Mapping[str, Any]] | None:
    """Kind and scope of the run after a step; the first preview comes after the list of all changes."""
    step = STEPS[0] if run.kind == WHOLE else after(STEP_OF[run.kind])
    return None if step is None else (step.kind, step.scope)


def _may_continue(connection: Connection, asked: Asked) -> bool:
    """Whether the next step may be requested: no chunk has failed, and it was not requested before a retry."""
    given_up = exists().where(CHUNKS.c.run_id == asked.id, CHUNKS.c.status == CHUNK_FAILED)
    first = int(asked.scope.get("retry", asked.id))
    same = RUNS.c.scope[KEY].astext == asked.scope[KEY]
    has_continued = exists().where(RUNS.c.id > first, same, RUNS.c.kind != asked.kind)
    return not connection.scalar(select(given_up | has_continued))


def _request(connection: Connection, asked: Asked, kind: str, scope: Mapping[str, Any]) -> None:
    """Request the next step with this one's options; it follows this one, unless this has failures.

    A run that another one follows counts as resolved. Only its application follows the list of all changes.
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
            follows=None if asked.kind == WHOLE or connection.scalar(failures) else asked.id,
        )  # fmt: skip
        session.commit()  # only the savepoint; the run's last transaction continues


def listed_by(session: Session, run: Run) -> Run:
    """The last run that lists all changes of the dry run which this step is a part of."""
    same = Run.scope[KEY].astext == run.scope[KEY]
    lists = select(Run).where(Run.kind == WHOLE, Run.dry_run, same).order_by(Run.id.desc())
    return session.scalars(lists.limit(1)).one()


def next_run(session: Session, run: Run) -> Run | None:
    """The run requested when this one ended: the next step."""
    following = _next_step(run) if run.kind in (*STEP_OF, WHOLE) and KEY in run.scope else None
    if following is None:
        return None
    later = select(Run).where(
        Run.id > run.id, Run.kind == following[0], Run.scope[KEY].astext == run.scope[KEY]
    )
    return session.scalar(later.order_by(Run.id).limit(1))
