"""What a person may do with a run at the moment, and why not where they may not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from ..security.rights import allowed
from .actions import Limits, may_approve
from .kinds import kinds
from .models import (
    AWAITING_APPROVAL,
    CANCELLED,
    DONE_WITH_FAILURES,
    FAILED,
    Run,
)
from .queries import Found, found_by, is_applicable, told_by


def may_act(user: Any, run: Run) -> bool:
    """Whether `user` may start, cancel, retry and apply runs of this kind."""
    kind = kinds().get(run.kind)
    return kind is not None and allowed(user, kind.permission)


@dataclass(frozen=True)
class Verbs:
    """What is offered beside a run. `found`: what it would apply, or what one that waits will change."""

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


def _waiting(session: Session, run: Run) -> Found | None:
    """What a run that waits for approval will change."""
    if run.status != AWAITING_APPROVAL:
        return None
    return found_by(session, told_by(run))


def verbs_of(
    session: Session, user: Any, run: Run, followers: Sequence[Run], limits: Limits
) -> Verbs:
    """What `user` may do with the run now. Actions look again under lock."""
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
    is_left = run.status in (DONE_WITH_FAILURES, FAILED) or (
        run.status == CANCELLED and not run.never_began
    )
    is_retried = any(follower.kind == run.kind for follower in followers)
    found = found_by(session, run.id) if is_applicable(kind, run, followers) else None
    return Verbs(
        retry=is_left and not is_retried and not kind.is_once,
        is_own=is_own,
        found=found,
        needs_approval=found is not None and limits.are_exceeded_by(found.count, found.gross),
    )
