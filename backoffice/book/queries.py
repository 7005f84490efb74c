"""Reads of what the book says."""

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..base.refusals import Locked
from .models import Book

LAST_LOCKED = select(func.greatest(Book.locked_until, Book.closed_until)).scalar_subquery()
"""The last day that is locked, or of a closed month."""


def locked_until(session: Session) -> date | None:
    """The last day that is locked or of a closed month: nothing up to it changes any more. None: every day is open."""
    return session.scalar(select(LAST_LOCKED))


def refusal_of(session: Session, day: date, field: str = "") -> Locked | None:
    """What whoever changes something of that day is told, at the `field` of a form; None of an open day."""
    until = locked_until(session)
    return None if until is None or day > until else Locked(until=until.isoformat()).at(field)
