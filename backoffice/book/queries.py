"""Reads of the book: its locked days."""

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..base.refusals import Locked
from .models import Book

LAST_LOCKED = select(func.greatest(Book.locked_until, Book.closed_until)).scalar_subquery()
"""The last day that is locked or in a closed month."""


def locked_until(session: Session) -> date | None:
    """The last day that is locked or in a closed month; nothing up to it may change. None: every day is open."""
    return session.scalar(select(LAST_LOCKED))


def refusal_of(session: Session, day: date, field: str = "") -> Locked | None:
    """The refusal of a change dated on that day, shown at the `field` of a form; None if the day is open."""
    until = locked_until(session)
    return None if until is None or day > until else Locked(until=until.isoformat()).at(field)
