"""Closing and reopening a month with a second person's approval, of the month and the lines of its closing entry.

An approved reopening applies to the closing that was shown, not to a later one of the same month.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...approvals.changes import digest_of
from ...approvals.verbs import Payload, Verb
from ...base import N_
from ...base.actor import actor
from ...base.late import Late
from ...base.periods import Month
from ...runs.models import AWAITING_APPROVAL, Run
from ..entries import fact_of
from ..writing import stored_lines

if TYPE_CHECKING:
    from . import actions
else:
    actions = Late("backoffice.ledger.periods.actions")


def _close(session: Session, _user: Any, asked: Payload) -> Sequence[str]:
    period = actions.close(session, Month.parse(asked["month"]), actor.get())
    entry_id = period.closing_entry_id
    return asked["month"], "" if entry_id is None else fact_of(stored_lines(session, entry_id))


def _reopen(session: Session, _user: Any, asked: Payload) -> Sequence[str]:
    period = actions.reopen(session, Month.parse(asked["month"]), actor.get(), asked["reason"])
    return asked["month"], asked["reason"], str(period.closed_at.timestamp())


def _verb(name: str, title: str, act: Any) -> Verb:
    """A verb with a digest of the month and the lines of its entry, not of balances, which may change meanwhile."""
    return Verb(name, title, "ledger.close", act, digest=lambda outlook: digest_of(outlook.result))


CLOSE = _verb("ledger.close-period", N_("Close the month"), _close)
REOPEN = _verb("ledger.reopen-period", N_("Reopen the month"), _reopen)

VERBS = (CLOSE, REOPEN)


def waiting(session: Session) -> Sequence[Run]:
    """The runs that close or reopen a month once another user approves."""
    is_waiting = Run.kind.in_([verb.name for verb in VERBS]), Run.status == AWAITING_APPROVAL
    return session.scalars(select(Run).where(*is_waiting).order_by(Run.id)).all()
