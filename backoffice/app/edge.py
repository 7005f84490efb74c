"""The edge of a request: one commit, after the view and before the response.

A view never commits. Its changes are committed unless its response is an error; a commit that fails
(a constraint, a lost connection) still becomes a proper response. A safe request runs in a
transaction that PostgreSQL itself keeps read-only: no GET changes anything, by accident or otherwise.

Of requests in a deadlock PostgreSQL aborts one and rolls its changes back:
that one is repeated, from loading the session on, before a response is sent. A command that is one
transaction does the same.

A save may have to wait for another session's lock, and occupies a thread meanwhile. So requests that
may change something get two thirds of the threads at most: however many wait, pages are still served.
"""

import random
import time
from collections.abc import Callable, Hashable, Sequence
from contextvars import Token
from functools import partial
from threading import BoundedSemaphore
from typing import Any, TypeVar, cast

import structlog
from flask import Flask, Response, current_app, g, has_request_context, request, session
from flask.ctx import AppContext
from flask.globals import request_ctx
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from werkzeug.exceptions import ServiceUnavailable

from ..base.actor import acting_as, actor
from .domain import Declared, current
from .extensions import WAITS_FOR_LOCKS, db
from .templates import Templates

log = structlog.get_logger()

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Done = TypeVar("Done")

TRIES = 3
"""Attempts at a request before the response that Backoffice is busy."""

LONGEST_PAUSE = 0.1
"""The longest pause before a retry, in seconds; random, so that two requests do not collide again."""

_LOST_A_RACE = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: PostgreSQL has rolled everything back, and a retry may succeed."""

WAITED_IN_VAIN = _LOST_A_RACE | {"55P03"}
"""SQL states that end a command while others change the same rows: a lost race, or a lock timeout."""

OF_THE_SESSION = ("_login_user", "csrf_token")
"""What Flask-Login and Flask-WTF cache of a session for the rest of the request."""


LONGEST_QUEUE = 0.5
"""Seconds that a save waits for its turn while too many others are in progress."""


MOST_ADDRESSES, LONGEST_ADDRESS = 10_000, 300
"""Addresses that a process keeps, and their characters: whoever asks may write into one where to go on to."""


class Context(AppContext):
    """Flask's app context, in which `declared()` returns what the app's own domains declare."""

    app: "Backoffice"

    def __init__(self, app: "Backoffice") -> None:
        super().__init__(app)
        self._before: list[Token[Declared]] = []

    def push(self) -> None:
        """Make it the current context."""
        super().push()
        self._before.append(current.set(self.app.declared))

    def pop(self, *exc: BaseException | None) -> None:
        """Leave it, and restore the declarations of the previous app."""
        try:
            super().pop(*exc)
        finally:
            current.reset(self._before.pop())


class Backoffice(Flask):
    """Flask, with the commit at the edge."""

    jinja_environment = Templates

    declared: Declared
    """What its domains declare."""

    turns: BoundedSemaphore
    """Limits how many requests that may change something run at a time."""

    guard: Callable[[], None]
    """Refuses a request that its sender is not permitted to make."""

    def __init__(self, *of_flask: Any, **options: Any) -> None:
        super().__init__(*of_flask, **options)
        self._addresses: dict[tuple[Hashable, ...], str] = {}

    def url_for(self, /, endpoint: str, **values: Any) -> str:
        """Flask's, built once for the same values: a page of a list has hundreds of addresses, seldom new ones.

        Only addresses within the app, and of texts and numbers alone: True equals 1, but is written otherwise.
        """
        values = {name: value for name, value in values.items() if value is not None}
        adapter = request_ctx.url_adapter if has_request_context() else None
        if adapter is None or not _is_plain(endpoint, values):
            return super().url_for(endpoint, **values)
        key = (adapter.script_name, adapter.default_method, endpoint, *values.items())
        address = self._addresses.get(key)
        if address is None:
            address = super().url_for(endpoint, **values)
            if len(address) > LONGEST_ADDRESS:
                return address
            if len(self._addresses) >= MOST_ADDRESSES:
                self._addresses.clear()
            self._addresses[key] = address
        return address

    def app_context(self) -> AppContext:
        """A context of this app."""
        return Context(self)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` unchanged: every view of this app is synchronous, so the check is skipped."""
        return func

    def update_template_context(self, context: dict[str, Any]) -> None:
        """Add what templates read of the request, once: Flask would add it for the view's blueprint too."""
        given = context.copy()
        for values in self.template_context_processors[None]:
            context.update(cast(dict[str, Any], values()))
        context.update(given)

    def dispatch_request(self) -> Response:
        """Call the view, then commit what it did."""
        if request.method in SAFE_METHODS:
            return self._carried_out_with_retries()
        if not self.turns.acquire(timeout=LONGEST_QUEUE):
            log.warning("too many saves at a time", path=request.path)
            raise ServiceUnavailable()
        try:
            return self._carried_out_with_retries()
        finally:
            self.turns.release()

    def _carried_out_with_retries(self) -> Response:
        """Handle the request; retry if it lost a race for locks."""
        return retry_on_conflict(self._carried_out, self._start_over, path=request.path)

    def _carried_out(self) -> Response:
        response = self.make_response(super().dispatch_request())
        if request.method in SAFE_METHODS:
            return response
        if response.status_code < 400:
            self._commit(response)
        else:
            db.session.rollback()
        return response

    def _commit(self, response: Response) -> None:
        """Commit; the domains' `afterwards` run after the response, each in its own transaction."""
        is_a_user = actor.get().startswith("user:")
        asked = (ask(db.session()) for ask in self.declared.afterwards if is_a_user)
        wanted = [follow for follow in asked if follow is not None]
        db.session.commit()
        if wanted:
            response.call_on_close(partial(self._follow, wanted, actor.get()))

    def _follow(self, wanted: Sequence[Callable[[Session], None]], user: str) -> None:
        """Run the follow-up work, as a save that takes its turn; an error is logged, since the response is sent."""
        if not self.turns.acquire(blocking=False):
            log.warning("too many saves at a time for what follows one")
            return
        try:
            with self.app_context(), acting_as(user):
                for follow in wanted:
                    self._follow_one(follow)
        finally:
            self.turns.release()

    def _follow_one(self, follow: Callable[[Session], None]) -> None:
        try:
            follow(db.session())
            db.session.commit()
        except Exception as error:  # noqa: BLE001 (the response is sent; what is not done now is picked up later)
            db.session.rollback()
            log.warning("not done afterwards", error=repr(getattr(error, "orig", error)))

    def _start_over(self) -> bool:
        """Reset the session, and check permissions again; False where the request cannot be repeated.

        Uploaded files are rewound; a view that has closed one cannot be called twice.
        """
        uploads = [file.stream for _name, file in request.files.items(multi=True)]
        if any(stream.closed for stream in uploads):
            return False
        for stream in uploads:
            stream.seek(0)
        session.start_over()  # type: ignore[attr-defined]
        request_ctx.flashes = None
        for name in OF_THE_SESSION:
            g.pop(name, None)
        self.guard()
        return True


def _is_plain(endpoint: str, values: dict[str, Any]) -> bool:
    """Whether an address follows from the endpoint and these values alone, whatever the page."""
    return not endpoint.startswith(".") and all(
        type(value) in (str, int) and not name.startswith("_") for name, value in values.items()
    )


def retry_on_conflict(
    work: Callable[[], Done], start_over: Callable[[], bool] = lambda: True, **what: str
) -> Done:
    """Do `work`; where it lost a race for locks it is rolled back, and repeated if `start_over` returns true."""
    for attempt in range(1, TRIES):
        try:
            return work()
        except DBAPIError as error:
            if sqlstate_of(error) not in _LOST_A_RACE:
                raise
            db.session.rollback()  # no locks are held during the pause
            time.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 (a pause, no secret)
            if not start_over():
                raise
            log.info("repeated", sqlstate=sqlstate_of(error), attempt=attempt, **what)
    return work()


def sqlstate_of(error: DBAPIError) -> str:
    """The SQLSTATE of a database error; empty where the connection itself broke."""
    return getattr(error.orig, "sqlstate", None) or ""


def begin() -> None:
    """Make the request's transaction read-only when it begins, unless the method may change something."""
    if request.method not in SAFE_METHODS:
        return
    if not (db.session.registry.has() and db.session().in_transaction()):
        g.reads_only = True


def init_app(app: Backoffice) -> None:
    """Reserve a third of the server's threads for requests that only read."""
    app.turns = BoundedSemaphore(max(1, app.config["WEB_THREADS"] * 2 // 3))


@event.listens_for(db.session, "after_begin")
def _as_the_request_is(_session: Session, _of: object, connection: Connection) -> None:
    """Make a transaction that only reads read-only; any other waits for locks only briefly, as it occupies a thread."""
    if not has_request_context():
        return
    if request.method not in SAFE_METHODS:
        milliseconds = current_app.config["WEB_LOCK_TIMEOUT"]
        if connection.info.get(WAITS_FOR_LOCKS) != milliseconds:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds:d}")
    elif g.pop("reads_only", False):
        driver: Any = connection.connection.driver_connection
        driver.read_only = True  # psycopg adds it to its BEGIN, which has not been sent yet
