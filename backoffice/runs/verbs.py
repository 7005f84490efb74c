"""What a person may do with a run at the moment, and why not where they may not."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..permissions import allowed
from .actions import Limits
from .kinds import KINDS, Kind
from .models import (
    AWAITING_APPROVAL,
    CANCELLED,
    DONE_WITH_FAILURES,
    FAILED,
    FOUND,
    Run,
    RunItem,
)


@dataclass(frozen=True)
class Found:
    """What a dry run has found: how many items, what their differences come to, and without their signs."""

    count: int
    amount: Decimal
    absolute: Decimal


def found_by(session: Session, run_id: int) -> Found:
    """What the dry run of that number has found."""
    amount = func.coalesce(func.sum(RunItem.amount), 0)
    absolute = func.coalesce(func.sum(func.abs(RunItem.amount)), 0)
    rows = select(func.count(), amount, absolute)
    return Found(
        *session.execute(rows.where(RunItem.run_id == run_id, RunItem.outcome == FOUND)).one()
    )


def followers_of(session: Session, run: Run) -> Sequence[Run]:
    """The runs that apply or retry this one, in the order in which they were asked for."""
    return session.scalars(select(Run).where(Run.follows == run.id).order_by(Run.id)).all()


def may_act(user: Any, run: Run) -> bool:
    """Whether `user` may start, cancel, retry and apply runs of this kind."""
    kind = KINDS.get(run.kind)
    return kind is not None and allowed(user, kind.permission)


def may_approve(user: Any, run: Run) -> bool:
    """Whether `user` is one of those who may approve it, unless it is their own."""
    return may_act(user, run) and allowed(user, "runs.approve")


@dataclass(frozen=True)
class Verbs:
    """What is offered beside a run. `apply` and `needs_approval` are about what it has found."""

    cancel: bool = False
    retry: bool = False
    approve: bool = False
    is_own: bool = False
    found: Found | None = None
    needs_approval: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is."""
        return self.cancel or self.retry or self.approve or self.found is not None


def verbs_of(
    session: Session, user: Any, run: Run, followers: Sequence[Run], limits: Limits
) -> Verbs:
    """What `user` may do with the run now. Actions look again under lock."""
    is_own = run.requested_by == f"user:{user.id}"
    if not may_act(user, run):
        return Verbs(is_own=is_own)
    if run.is_live:
        is_waiting = run.status == AWAITING_APPROVAL
        approve = is_waiting and not is_own and may_approve(user, run)
        return Verbs(cancel=not run.cancelled_by, approve=approve, is_own=is_own)
    kind = KINDS[run.kind]
    is_left = run.status in (DONE_WITH_FAILURES, FAILED) or _was_stopped(run)
    is_retried = any(follower.kind == run.kind for follower in followers)
    found = found_by(session, run.id) if _is_applicable(kind, run, followers) else None
    return Verbs(
        retry=is_left and not is_retried,
        is_own=is_own,
        found=found,
        needs_approval=found is not None and limits.are_exceeded_by(found.count, found.absolute),
    )


def _was_stopped(run: Run) -> bool:
    """Whether it was cancelled in the middle; what never began is asked for anew."""
    return run.status == CANCELLED and run.started_at is not None


def _is_applicable(kind: Kind, run: Run, followers: Sequence[Run]) -> bool:
    """Whether what it has found can be applied; an application that never began does not count."""
    is_applied = any(
        follower.kind == kind.apply_as and (follower.is_live or follower.started_at is not None)
        for follower in followers
    )
    return bool(kind.apply_as and run.dry_run and run.changed) and not is_applied
