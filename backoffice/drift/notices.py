"""Drift's notices on Today: the state of the books, and what needs a user's attention."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import g, url_for
from flask_babel import ngettext
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source, Weight
from ..figures.models import FigureNote
from ..web.formats import quantity_filter
from . import figure_status, wording
from .figure_status import FigureStatus, State

PATIENCE = timedelta(minutes=1)
"""How long a change by another program may wait for a worker before a user is notified."""

_WEIGHTS: dict[State, Weight] = {
    "right": "info", "waiting": "warning", "stale": "warning", "failed": "danger",
    "unverified": "warning", "unguarded": "danger", "wrong": "danger",
}  # fmt: skip


def _standing() -> FigureStatus:
    """The state of the books; queried once for all of this domain's notices."""
    if "books" not in g:
        g.books = figure_status.now()
    found: FigureStatus = g.books
    return found


def _books(_session: Session, _user: Any) -> Iterator[Notice]:
    books = _standing()
    weight = _WEIGHTS[books.state]
    yield Notice(wording.books_in_words(books), url_for("health.index"), weight)


def _drift(_session: Session, _user: Any) -> Iterator[Notice]:
    books = _standing()
    if books.wrong:
        reported = wording.wrong_in_words(books)
        yield Notice(reported, url_for("drift.index"), "danger", books.wrong)


def _notes(session: Session, _user: Any) -> Iterator[Notice]:
    """Changes by other programs that no worker has processed; each note is one record that they touched."""
    late = datetime.now(UTC) - PATIENCE
    count = session.scalar(
        select(func.count()).select_from(
            select(FigureNote.id).where(FigureNote.noted_at < late).limit(10_000).subquery()
        )
    )
    if count:
        sentence = ngettext(
            "%(count)s change by another program has waited for a worker for more than a minute.",
            "%(count)s changes by other programs have waited for a worker for more than a minute.",
            count,
            count=quantity_filter(count),
        )
        yield Notice(sentence, url_for("health.index"), "danger", count)


NOTICES = (
    Source("books", "books", "figures.read", _books),
    Source("drift", "attention", "figures.read", _drift),
    Source("notes", "attention", "figures.read", _notes),
)
