"""The status of the chain over the trail."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..models import AuditCheck, AuditEvent
from .records import EVENTS
from .sealing import Head, head_of, stalled, waiting

MOST_COUNTED = 10_000
"""Events waiting to be sealed are counted up to this number, to keep the screen fast."""

LONGEST_STALL = timedelta(minutes=15)
"""How long an event may wait for its seal before users are notified."""


@dataclass(frozen=True)
class Chain:
    """The status of the chain: its head, the events waiting, and the last anchoring and verification."""

    head: Head | None
    waiting: int
    is_stalled: bool
    anchored: AuditCheck | None
    verified: AuditCheck | None

    @property
    def has_many_waiting(self) -> bool:
        """Whether more events wait than are counted."""
        return self.waiting > MOST_COUNTED


def chain_of(session: Session) -> Chain:
    """The current status of the chain."""
    head = head_of(session)
    unsealed = select(EVENTS.c.id).where(waiting(head)).limit(MOST_COUNTED + 1).subquery()
    count = session.scalar(select(func.count()).select_from(unsealed)) or 0
    age = stalled(session) if count else None
    return Chain(
        head,
        count,
        age is not None and age > LONGEST_STALL,
        _last(session, "anchored"),
        _last(session, "verified"),
    )


def is_sealed(session: Session, event: AuditEvent) -> bool:
    """Whether an event is sealed."""
    head = head_of(session)
    late = select(EVENTS.c.id).where(EVENTS.c.id == event.id, waiting(head))
    return session.scalar(late) is None


def _last(session: Session, kind: str) -> AuditCheck | None:
    newest = select(AuditCheck).where(AuditCheck.kind == kind).order_by(AuditCheck.id.desc())
    return session.scalars(newest.limit(1)).first()
