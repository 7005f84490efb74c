"""Request, approve, apply, cancel and retry runs, and who is permitted to. No function here commits."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ..base import table_of
from ..base.actor import actor
from ..database.proof import prove
from ..people.queries import acting_user
from ..security.rights import Person, allowed
from .ending import end_cancelled
from .errors import (
    AlreadyRunning,
    HasFinished,
    MayNotApprove,
    NoLongerAsRequested,
    NothingToApply,
    NothingToRetry,
    NotWaiting,
    OwnApproval,
    PreviewFirst,
    ReasonMissing,
    UnknownRun,
)
from .kinds import kind_of, kinds
from .models import (
    AWAITING_APPROVAL,
    CANCELLED,
    CHUNK_DONE,
    DONE,
    FAILED,
    ITEM_FAILED,
    PLAN,
    PLAN_STAGE,
    QUEUED,
    Run,
    RunChunk,
    RunItem,
)
from .queries import Found, followers_of, found_by, is_applicable, reporting_run
from .triggers import FOR_A_USER
from .work import is_as_requested

RUNS, CHUNKS = table_of(Run), table_of(RunChunk)


def scope_key(scope: Mapping[str, Any], *, dry_run: bool) -> str:
    """The hash under which only one live run is allowed; a dry run conflicts only with another dry run."""
    text = json.dumps([scope, dry_run], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def request(
    session: Session,
    kind: str,
    scope: Mapping[str, Any],
    *,
    dry_run: bool = False,
    reason: str = "",
    follows: int | None = None,
    is_paced: bool = True,
    is_here: bool = False,
    needs_approval: bool = False,
    schedule: str | None = None,
    due_at: datetime | None = None,
    sameness: Mapping[str, Any] | None = None,
) -> Run:
    """Request a run on behalf of the current actor; it is delivered to the workers once this commits.

    With `is_here` the caller performs it itself (`working.perform`). `sameness` is the part of the scope that
    identifies it, where that is not the whole scope.

    Raises:
        UnknownKind: `kind` is not declared.
        PreviewFirst: a user who is signed in would change totals that no dry run has shown them.
        AlreadyRunning: a run of the same kind and scope is live; `run_id` is its number.
    """
    if not dry_run and _is_signed_in() and kind_of(kind).preview(scope) is not None:
        raise PreviewFirst()
    kind_of(kind)
    return _requested(
        session,
        kind=kind,
        scope=dict(scope),
        scope_key=scope_key(scope if sameness is None else sameness, dry_run=dry_run),
        dry_run=dry_run,
        status=AWAITING_APPROVAL if needs_approval else QUEUED,
        reason=reason,
        follows=follows,
        is_paced=is_paced,
        is_here=is_here,
        schedule=schedule,
        due_at=due_at,
    )


def request_or_preview(session: Session, kind: str, scope: Mapping[str, Any], **how: Any) -> Run:
    """Request a run; where it would change totals unseen, a signed-in user gets the dry run that previews it.

    That dry run does not count as the schedule's run. Raises as `request`.
    """
    shown = kind_of(kind).preview(scope) if _is_signed_in() and not how.get("dry_run") else None
    if shown is None:
        return request(session, kind, scope, **how)
    return request(session, *shown, **{**how, "dry_run": True, "schedule": None})


def request_or_join(session: Session, kind: str, scope: Mapping[str, Any], **how: Any) -> int:
    """The number of the requested run, or of the live run with the same scope. Raises as `request`."""
    try:
        return request(session, kind, scope, **how).id
    except AlreadyRunning as same:
        return same.run_id


def _is_signed_in() -> bool:
    """Whether the actor is a signed-in user; commands and schedules are the operator's own decision."""
    return actor.get().startswith("user:")


def _requested(session: Session, **values: Any) -> Run:
    """Insert the run, with the chunk that plans the others. Raises AlreadyRunning."""
    if actor.get().startswith(FOR_A_USER):
        prove(session.connection())
    add = upsert(RUNS).values(requested_by=actor.get(), **values)
    add = add.on_conflict_do_nothing().returning(RUNS.c.id)  # type: ignore[assignment]
    live = select(Run.id).where(
        Run.kind == values["kind"],
        Run.scope_key == values["scope_key"],
        Run.finished_at.is_(None),
    )
    while (run_id := session.execute(add).scalar_one_or_none()) is None:
        if (other := session.scalar(live)) is not None:
            raise AlreadyRunning(run=other)
        if values["schedule"] and (other := session.scalar(_due_once(values))) is not None:
            raise AlreadyRunning(run=other)
    session.execute(insert(CHUNKS).values(run_id=run_id, number=PLAN, stage=PLAN_STAGE, payload={}))
    return session.get_one(Run, run_id)


def _due_once(values: Mapping[str, Any]) -> Select[int]:
    """The run that this schedule has already requested for this due time."""
    return select(Run.id).where(Run.schedule == values["schedule"], Run.due_at == values["due_at"])


@dataclass(frozen=True)
class Limits:
    """A run above either limit needs a second person's approval: number of items, and sum of their gross amounts."""

    count: int
    amount: Decimal

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Limits":
        """The limits configured in the deployment's settings."""
        return cls(settings["APPROVAL_ABOVE_COUNT"], settings["APPROVAL_ABOVE_AMOUNT"])

    def are_exceeded_by(self, count: int, amount: Decimal) -> bool:
        """Whether a run with so many items and that gross amount needs approval."""
        return count > self.count or amount > self.amount


def apply(session: Session, run_id: int, *, reason: str, limits: Limits) -> Run:
    """Request a run that applies exactly what a dry run has found; above the limits it waits for approval.

    Raises:
        UnknownRun, ReasonMissing, NothingToApply, AlreadyRunning.
    """
    run = _locked(session, run_id)
    kind = kind_of(run.kind)
    if not reason.strip():
        raise ReasonMissing()
    found = found_by(session, run_id)  # nothing where its items were removed after their time
    if not (found.count and is_applicable(kind, run, followers_of(session, run))):
        raise NothingToApply(run=run_id)
    return request(
        session, kind.apply_as, {"run": run_id},
        reason=reason.strip(), follows=run_id, is_paced=run.is_paced,
        needs_approval=limits.are_exceeded_by(found.count, found.gross),
    )  # fmt: skip


def _locked(session: Session, run_id: int) -> Run:
    run = session.scalar(
        select(Run).where(Run.id == run_id).with_for_update(key_share=True),
        execution_options={"populate_existing": True},
    )
    if run is None:
        raise UnknownRun(run=run_id)
    return run


def approve(session: Session, run_id: int) -> Run:
    """Approve a run that waits for a second person, so that it can begin.

    Raises:
        UnknownRun, NotWaiting, OwnApproval: the user who requested it may not approve it.
        MayNotApprove: a command, a program, or a user without the permission now.
        NoLongerAsRequested: the listed changes are not those that were requested.
    """
    run = _locked(session, run_id)
    if run.status != AWAITING_APPROVAL:
        raise NotWaiting(run=run_id)
    if run.requested_by == actor.get():
        raise OwnApproval(run=run_id)
    approver = acting_user(session)
    if approver is None or not may_approve(approver, run.kind):
        raise MayNotApprove(run=run_id)
    if not is_as_requested(session.connection(), run.scope, run.digest):
        raise NoLongerAsRequested(run=run_id)
    prove(session.connection())
    run.approved_by, run.approved_at, run.status = actor.get(), func.now(), QUEUED
    session.flush()
    return run


def may_approve(user: Person, kind: str) -> bool:
    """Whether `user` may approve runs of this kind that other users have requested."""
    known = kinds().get(kind)
    return known is not None and allowed(user, known.permission) and allowed(user, "runs.approve")


def cancel(session: Session, run_id: int) -> Run:
    """Stop a run: chunks in progress are finished, no further one is begun. With none in progress it ends at once.

    Raises:
        UnknownRun, HasFinished.
    """
    run = _locked(session, run_id)
    if not run.is_live:
        raise HasFinished(run=run_id)
    run.cancelled_by = run.cancelled_by or actor.get() or "unknown"
    if run.started_at is None:
        run.status, run.finished_at = CANCELLED, func.now()
    session.flush()
    if run.started_at is not None:
        end_cancelled(session.connection(), run_id)
        session.refresh(run)
    return run


def retry(session: Session, run_id: int) -> Run:
    """Request a run of what a finished run left undone: chunks that failed or never began, items that failed.

    A run that was cancelled before it began cannot be retried: it is requested, and approved, anew. A retry that
    would change totals unseen is previewed by a dry run first.

    Raises:
        UnknownRun, NothingToRetry, AlreadyRunning.
    """
    run = _locked(session, run_id)
    if kind_of(run.kind).is_once or not _is_left(session, run):
        raise NothingToRetry(run=run_id)
    return request_or_preview(
        session, run.kind, {**run.scope, "retry": run_id},
        dry_run=run.dry_run, reason=run.reason, follows=run_id, is_paced=run.is_paced,
    )  # fmt: skip


def _is_left(session: Session, run: Run) -> bool:
    """Whether the ended run left anything undone; a run that failed always did, at least its final transaction."""
    if run.is_live or run.never_began or run.status == DONE:
        return False
    left = select(RunChunk.run_id).where(RunChunk.run_id == run.id, RunChunk.status != CHUNK_DONE)
    failed = select(RunItem.run_id).where(RunItem.run_id == run.id, RunItem.outcome == ITEM_FAILED)
    return run.status == FAILED or bool(session.scalar(select(left.exists() | failed.exists())))


# What a user may do with a run at the moment


def may_act(user: Any, run: Run) -> bool:
    """Whether `user` may start, cancel, retry and apply runs of this kind."""
    kind = kinds().get(run.kind)
    return kind is not None and allowed(user, kind.permission)


@dataclass(frozen=True)
class Verbs:
    """The actions offered for a run. `found`: what applying it would change, or what it will change once approved."""

    cancel: bool = False
    retry: bool = False
    approve: bool = False
    is_own: bool = False
    found: Found | None = None
    needs_approval: bool = False

    @property
    def any(self) -> bool:
        """Whether any action is offered."""
        return self.cancel or self.retry or self.approve or self.found is not None


def _waiting(session: Session, run: Run) -> Found | None:
    """What a run that waits for approval will change."""
    if run.status != AWAITING_APPROVAL:
        return None
    return found_by(session, reporting_run(run))


def verbs_of(
    session: Session, user: Any, run: Run, followers: Sequence[Run], limits: Limits
) -> Verbs:
    """The actions that `user` may take on the run now. Each action checks again under lock."""
    is_own = run.requested_by == f"user:{user.id}"
    if not may_act(user, run):
        return Verbs(is_own=is_own, found=_waiting(session, run))
    if run.is_live:
        is_waiting = run.status == AWAITING_APPROVAL
        approve = is_waiting and not is_own and may_approve(user, run.kind)
        return Verbs(
            cancel=not run.cancelled_by,
            approve=approve,
            is_own=is_own,
            found=_waiting(session, run),
        )
    kind = kinds()[run.kind]
    is_retried = any(f.kind == run.kind and not f.never_began for f in followers)
    found = found_by(session, run.id) if is_applicable(kind, run, followers) else None
    return Verbs(
        retry=not (is_retried or kind.is_once) and _is_left(session, run),
        is_own=is_own,
        found=found,
        needs_approval=found is not None and limits.are_exceeded_by(found.count, found.gross),
    )
