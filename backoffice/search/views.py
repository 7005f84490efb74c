"""The search of the shell: suggestions while typing, all results, and a direct jump to an exact match.

Each kind of record has its own time limit, so that a slow one does not delay the others.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Blueprint, redirect, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import ORMExecuteState, Session
from werkzeug.wrappers import Response

from ..app.domain import declared
from ..app.edge import begin, sqlstate_of
from ..app.extensions import db
from ..app.navigation import may_open
from ..base import N_
from ..security.permissions import requires
from ..web.htmx import render, wants_partial
from . import search_results as places
from .search_results import Findable, Question, SearchResult

bp = Blueprint("search", __name__)

PAGE = "search/index.html"

_CANCELLED = "57014"
"""PostgreSQL's error code of a statement cancelled by its timeout."""

SHORTEST = 0.02
"""Seconds; with less left no statement is started, and a kind may exceed its limit by as much."""


class _TooLateError(Exception):
    """No time is left for the next statement."""


@dataclass(frozen=True)
class Pace:
    """The most results per kind, and the seconds for one kind and for all of them."""

    limit: int
    kind: float
    all_kinds: float


SUGGESTIONS = Pace(5, 0.3, 1.2)
WHOLE_PAGE = Pace(10, 1.0, 4.0)


@dataclass(frozen=True)
class Group:
    """The results of one kind. `count`: the number of rows in its list, if quickly counted.

    `is_late`: it timed out, so there may be more.
    """

    kind: Findable
    places: tuple[SearchResult, ...] = ()
    count: int | None = None
    is_late: bool = False


@bp.get("/search")
@requires("profile.own")
def index() -> Response:
    """All results for a text, by kind. `go`: redirect to the match, if the text names one record."""
    wanted = places.wanted(request.args.get("q", ""))
    pace = SUGGESTIONS if wants_partial() else WHOLE_PAGE
    groups = list(_groups(wanted, pace)) if wanted else []
    found = [place for group in groups for place in group.places]
    meant = places.meant(found, wanted, is_all=not any(group.is_late for group in groups))
    if meant and "go" in request.args and not wants_partial():
        return redirect(meant.href, 303)
    shown = [group for group in groups if group.places or group.is_late]
    elsewhere = [group.kind for group in groups if group.kind.all_of and group.count is None]
    return render(
        PAGE, block="found", wanted=wanted, groups=shown, meant=meant, elsewhere=elsewhere
    )


def _groups(wanted: str, pace: Pace) -> Iterator[Group]:
    """The results of each kind with a screen that the current user may open; then the timeout is reset."""
    user = current_user._get_current_object()
    question = Question(db.session(), user, wanted, pace.limit)
    end = time.monotonic() + pace.all_kinds
    for kind in declared().findable.values():
        if may_open(kind.endpoint):
            yield _in_time(kind, question, pace, end)
    _give_back_the_time()


def _in_time(kind: Findable, question: Question, pace: Pace, end: float) -> Group:
    """The results of a kind within its time limit; after a timeout, those found by then."""
    found: list[SearchResult] = []
    try:
        with _until(min(time.monotonic() + pace.kind, end), question.session):
            found.extend(kind.ask(question))
            count = kind.count(question) if pace is WHOLE_PAGE else None
    except _TooLateError:
        return Group(kind, tuple(found), is_late=True)
    except DBAPIError as error:
        _start_anew(error)
        return Group(kind, tuple(found), is_late=True)
    return Group(kind, tuple(found), count)


@contextmanager
def _until(end: float, session: Session) -> Iterator[None]:
    """Limit each statement to the time left; the setting is renewed only if noticeably less is left."""
    limit = float("inf")

    def before(_statement: ORMExecuteState | None) -> None:
        nonlocal limit
        left = end - time.monotonic()
        if left < SHORTEST:
            raise _TooLateError
        if limit - left > SHORTEST:
            limit, milliseconds = left, str(int(left * 1000))
            setting = func.set_config("statement_timeout", milliseconds, True)
            session.connection().execute(select(setting))

    event.listen(session, "do_orm_execute", before)
    try:
        before(None)
        yield
    finally:
        event.remove(session, "do_orm_execute", before)


def _give_back_the_time() -> None:
    """Reset the statement timeout to its default."""
    try:
        db.session.execute(text("SET LOCAL statement_timeout TO DEFAULT"))
    except DBAPIError as error:
        _start_anew(error)


def _start_anew(error: DBAPIError) -> None:
    """Start a new transaction, with default settings, after a statement that timed out."""
    if sqlstate_of(error) != _CANCELLED:
        raise error
    db.session.rollback()
    begin()


def _screens(question: Question) -> list[SearchResult]:
    """The screens with all the words in their name, in the user's language or English; prefix matches first."""
    words = question.text.casefold().split()
    named = [(entry.label, entry.endpoint) for entry in declared().navigation]
    named += [(label, endpoint) for endpoint, label in declared().pages.items()]
    found = [
        SearchResult(_(label), url_for(endpoint), names=(_(label), label))
        for label, endpoint in dict.fromkeys(named)
        if all(word in f"{_(label)} {label}".casefold() for word in words) and may_open(endpoint)
    ]
    begins = question.text.casefold()
    found.sort(key=lambda place: not any(n.casefold().startswith(begins) for n in place.names))
    return found[: question.limit]


FINDABLE = (Findable("screens", N_("Screens"), "people.profile", _screens, rank=9),)
