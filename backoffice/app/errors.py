"""Errors become responses here, and nowhere else: a page, a toast for htmx, or JSON.

Every response has a sentence that states what to do next. None of them shows a traceback or a statement;
the log keeps those, beside the reference that the page of a 500 shows.
"""

import secrets
from dataclasses import dataclass
from time import time
from typing import Any

import structlog
from flask import (
    Flask,
    Response,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import gettext as _
from flask_babel import refresh as refresh_language
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import BadHost, HTTPException, MethodNotAllowed, SecurityError

from ..base import N_
from ..base.refusals import Refusal, broken_constraint, locked_by
from ..book import MeaningDiffers, difference_in
from ..database.outages import database_error_of, is_unreachable
from ..security import bearer
from ..web.formats import in_words
from ..web.htmx import is_htmx, trigger
from ..web.problems import is_api, problem
from ..web.safe_next import safe_next
from .edge import SAFE_METHODS, sqlstate_of
from .extensions import db
from .protection import limiter

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 5
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}


@dataclass(frozen=True)
class ErrorPage:
    """The text of the page of a status: a title, and a sentence."""

    title: str
    sentence: str


ERROR_PAGES = {
    400: ErrorPage(
        N_("That request was not understood"),
        N_("Something in it was malformed. Go back, load the page again and repeat your change."),
    ),
    401: ErrorPage(N_("You are not signed in"), N_("Your session has ended. Sign in to go on.")),
    403: ErrorPage(
        N_("You may not do this"),
        N_("Your role does not allow it. An administrator can give you another role."),
    ),
    404: ErrorPage(
        N_("This page does not exist"),
        N_("The address is mistyped, the record was deleted, or it is not yours to see."),
    ),
    405: ErrorPage(
        N_("This page cannot be used that way"), N_("Go back and use the buttons of the page.")
    ),
    409: ErrorPage(
        N_("A user was faster"),
        N_("Another user has saved this in the meantime. Load it again to see their version."),
    ),
    413: ErrorPage(
        N_("That was too much at once"),
        N_("What you sent is larger than Backoffice accepts. Send it in smaller parts."),
    ),
    422: ErrorPage(N_("That cannot be saved"), N_("Correct what is marked, then save again.")),
    429: ErrorPage(N_("Too many attempts"), N_("Wait %(seconds)s seconds, then try again.")),
    500: ErrorPage(
        N_("Something went wrong on our side"),
        N_(
            "Nothing was saved. Try again; if it happens again, tell your administrator the reference %(reference)s."
        ),
    ),
    503: ErrorPage(
        N_("Backoffice is busy"),
        N_("Nothing was saved. Wait a few seconds, then try again."),
    ),
}

UNREACHABLE = ErrorPage(
    N_("Backoffice cannot be used at the moment"),
    N_("The database does not answer. Nothing that was saved is lost; try again in a few seconds."),
)
ANOTHER_BOOK = ErrorPage(
    N_("Backoffice cannot be used at the moment"),
    N_(
        "This server was started with %(wrong)s, and the book is kept with %(right)s. Nothing was read or written. "
        "Whoever runs the server starts it with the latter."
    ),
)
NO_BOOK = ErrorPage(
    N_("Backoffice cannot be used at the moment"),
    N_(
        "The database does not say yet in which currency and time zone its book is kept. Whoever runs the server "
        "gives the command: backoffice db upgrade"
    ),
)
READ_ONLY = ErrorPage(
    N_("Backoffice is read-only for the moment"),
    N_("Nothing was saved. Pages can be read meanwhile; save again in a few minutes."),
)

FORM_TOO_OLD = N_(
    "This form was open for too long, or was opened before you signed in. Load the page again."
)

IMPOSSIBLE_DATE = N_(
    "A record that this would change has a date before 1900 or after 2199. "
    "Correct that date first, then save again."
)

TOO_LONG = N_("A text is longer than can be stored. Nothing was saved: shorten it.")

TOO_LARGE = N_(
    "What this comes to is more than can be kept: an amount has at most thirteen digits before the decimals. "
    "Nothing was saved. Look for a digit too many."
)

_OUT_OF_RANGE = "22003"
"""SQLSTATE of a number too large for its column: a figure can outgrow what forms allow users to enter."""

_OVERTAKEN_SQLSTATES = {
    "23503",  # what this refers to was deleted meanwhile
    "23505",  # a user saved the same number or name first
}

_READ_ONLY_SQLSTATE = "25006"
"""SQLSTATE of a standby, or of a database that its administrator has made read-only."""

_BUSY_SQLSTATES = {
    "40001",  # serialization failure, after the retries
    "40P01",  # deadlock, after the retries
    "53100",  # disk full
    "53200",  # out of memory
    "55P03",  # lock not available within lock_timeout
    "57014",  # cancelled by statement_timeout
}


def wants_json() -> bool:
    """Whether the client is a program: by a path under /api/, or by its Accept header."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return is_api() or best == "application/json"


def answer(
    status: int,
    sentence: str = "",
    explanation: ErrorPage | None = None,
    cause: object = None,
    **values: object,
) -> Response:
    """The response of `status`, with `sentence` (already translated) or that of an explanation.

    A response about a server error uses neither the database nor the session, which may be its cause.
    """
    if status >= 500:
        session.give_up()  # type: ignore[attr-defined]
        refresh_language()
    usual = ERROR_PAGES.get(status, ERROR_PAGES[500 if status >= 500 else 400])
    explanation = explanation or usual
    sentence = sentence or _(explanation.sentence, **values)
    if is_api():
        response = problem(status, sentence, cause)
    elif wants_json():
        response = make_response(jsonify(error=sentence), status)
    elif is_htmx():
        response = make_response(sentence, status, PLAIN)
        response.headers["HX-Reswap"] = "none"
        trigger(response, "toast", kind="error", message=sentence)
    else:
        page = render_template(
            "errors/error.html",
            status=status,
            heading=_(explanation.title),
            sentence=sentence,
            bare=status >= 500,
            again=safe_next(request.full_path) if request.method == "GET" else None,
        )
        response = make_response(page, status)
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return make_response(error.get_response())
    if isinstance(error, SecurityError | BadHost):  # no address can be built for such a host
        return make_response(_(ERROR_PAGES[400].sentence), 400, PLAIN)
    _roll_back_quietly()
    if status == 401:
        return _unauthorized()
    if status == 429:
        return _too_many()
    if status >= 500 and status != 503:
        return _after_the_view(error)
    response = answer(status)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _after_the_view(error: HTTPException) -> Response:
    """The response to an error after the view: its session could not be stored, or worse."""
    cause = getattr(error, "original_exception", None)
    if (of_the_database := database_error_of(cause)) is not None:
        return _database(of_the_database, is_of_the_view=False)
    return _pool_exhausted(cause) if isinstance(cause, PoolTimeout) else _unexpected(error)


def _unauthorized() -> Response:
    """Redirect to the sign-in page and back; a page that saves stays open, with what was typed in it."""
    is_reading = request.method in SAFE_METHODS
    if wants_json():
        return answer(401)
    if is_htmx():
        response = make_response("", 401)
        if not is_reading:
            response.headers["HX-Reswap"] = "none"
            return trigger(response, "sessionEnded")
        here = safe_next(request.headers.get("HX-Current-URL", ""))
        response.headers["HX-Redirect"] = url_for("people.login", next=here)
        return response
    here = safe_next(request.full_path if is_reading else request.referrer)
    return make_response(redirect(url_for("people.login", next=here)))


def _too_many() -> Response:
    limit = limiter.current_limit
    seconds = max(1, int(limit.reset_at - time()) + 1) if limit else 60
    response = answer(429, seconds=seconds)
    response.headers["Retry-After"] = str(seconds)
    return response


def _csrf(error: CSRFError) -> Response:
    db.session.rollback()
    if request.endpoint == "people.login_post" and not is_htmx():
        flash(_("This page was open for too long. Please sign in again."), "info")
        return make_response(
            redirect(url_for("people.login", next=safe_next(request.args.get("next"))), 303)
        )
    log.info("request refused", reason=error.description, path=request.path)
    response = answer(400, _(FORM_TOO_OLD))
    if is_htmx() and current_user.is_authenticated:  # the page can find out who it is, and go on
        del response.headers["HX-Trigger"]
        trigger(response, "sessionChanged")
    return response


def _refused(error: Refusal) -> Response:
    db.session.rollback()
    return answer(error.status, in_words(error), cause=error)


def _database(error: DBAPIError, *, is_of_the_view: bool = True) -> Response:
    sqlstate = sqlstate_of(error)
    _roll_back_quietly()
    if sqlstate in _OVERTAKEN_SQLSTATES:
        return answer(409)
    if (of_the_data := _of_the_data(error)) is not None:
        return of_the_data
    if (differs := difference_in(error)) is not None:
        return _another_book(differs)
    if (explanation := _of_an_outage(error, is_of_the_view)) is not None:
        log.warning("database not available", sqlstate=sqlstate, path=request.path)
        return answer(503, explanation=explanation)
    return _unexpected(error)


def _of_the_data(error: DBAPIError) -> Response | None:
    """The response to invalid data: an impossible or locked date, a number that is too large, an invalid text."""
    if (locked := locked_by(error)) is not None:
        return _refused(locked)
    if broken_constraint(error).endswith("_in_calendar"):
        return answer(409, _(IMPOSSIBLE_DATE))
    if broken_constraint(error).endswith("_text_lengths"):
        return answer(422, _(TOO_LONG))
    if sqlstate_of(error) == _OUT_OF_RANGE:
        return answer(422, _(TOO_LARGE))
    return answer(400) if isinstance(error, DataError) else None  # NUL in a text, and the like


def _another_book(differs: MeaningDiffers) -> Response:
    """The response where the book is kept in another currency or time zone than this server's settings."""
    if differs.book is None:
        return answer(503, explanation=NO_BOOK)
    wrong = " ".join(f"{name}={here}" for name, here, _there in differs.settings)
    right = " ".join(f"{name}={there}" for name, _here, there in differs.settings)
    return answer(503, explanation=ANOTHER_BOOK, wrong=wrong, right=right)


def _of_an_outage(error: DBAPIError, is_of_the_view: bool) -> ErrorPage | None:
    """The explanation of a database outage; None where the error is a defect of the app."""
    sqlstate = sqlstate_of(error)
    if sqlstate == _READ_ONLY_SQLSTATE:
        if is_of_the_view and request.method in SAFE_METHODS:
            return None  # the transaction is read-only by design: a GET that writes is a defect
        db.engine.dispose()  # connections stay read-only after the database no longer is
        return READ_ONLY
    if is_unreachable(error):
        return UNREACHABLE
    return ERROR_PAGES[503] if sqlstate in _BUSY_SQLSTATES else None


def _of_the_session(error: SQLAlchemyError) -> Response:
    """The response to an error of SQLAlchemy's own, which may follow from a lost connection."""
    cause = database_error_of(error)
    return _unexpected(error) if cause is None else _database(cause)


def _pool_exhausted(_error: PoolTimeout) -> Response:
    log.warning("no database connection left", path=request.path)
    return answer(503)


def _unexpected(error: Exception) -> Response:
    reference = secrets.token_hex(4)
    cause = getattr(error, "original_exception", None) or error
    log.error("request failed", reference=reference, path=request.path, exc_info=cause)
    _roll_back_quietly()
    return answer(500, reference=reference)


def _roll_back_quietly() -> None:
    try:
        db.session.rollback()
    except DBAPIError:
        db.session.remove()


def init_app(app: Flask) -> None:
    """Register the error handlers."""
    handlers: dict[type[Exception], Any] = {
        CSRFError: _csrf,
        HTTPException: _http,
        bearer.TokenRefused: bearer.refusal,
        bearer.TokenOfAnotherScope: bearer.refusal,
        Refusal: _refused,
        DBAPIError: _database,
        SQLAlchemyError: _of_the_session,
        PoolTimeout: _pool_exhausted,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.register_error_handler(kind, handler)
