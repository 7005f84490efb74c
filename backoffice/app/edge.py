"""The edge of a request: one commit, after the view and before the answer.

A view never commits. What it did is committed when its answer is no error; a commit that fails
(a law of the database, a lost connection) still becomes a proper answer. A safe request runs in a
transaction that PostgreSQL itself keeps read-only: no GET changes anything, by accident or otherwise.

Of requests that wait for each other in a circle PostgreSQL ends one, which has then done nothing:
that one is carried out again, from the session on, before anybody hears of it. A command that is one
transaction does the same.

Whoever saves may have to wait for another session's lock, and keeps a thread meanwhile. So requests that
may change something get two thirds of the threads at most: however many wait, pages are answered.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextvars import Token
from functools import partial
from threading import BoundedSemaphore
from typing import Any, TypeVar

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

log = structlog.get_logger()

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Done = TypeVar("Done")

TRIES = 3
"""How often a request is carried out before it is answered that Backoffice is busy."""

LONGEST_PAUSE = 0.1
"""Seconds before a further try, at most; by chance, so that two do not meet again."""

_LOST_A_RACE = frozenset({"40001", "40P01"})
"""Serialization failure and deadlock: PostgreSQL has undone everything, and a repetition may succeed."""

WAITED_IN_VAIN = _LOST_A_RACE | {"55P03"}
"""What ends a command while others work on the same rows: a lost race, or a lock that did not come in time."""

OF_THE_SESSION = ("_login_user", "csrf_token")
"""What Flask-Login and Flask-WTF remember of a session for the rest of the request."""


LONGEST_QUEUE = 0.5
"""Seconds that a save waits for its turn while too many others are being carried out."""


class Context(AppContext):
    """Flask's, inside which `declared()` answers what the app's own domains have."""

    app: "Backoffice"

    def __init__(self, app: "Backoffice") -> None:
        super().__init__(app)
        self._before: list[Token[Declared]] = []

    def push(self) -> None:
        """Bind it to what is executed now."""
        super().push()
        self._before.append(current.set(self.app.declared))

    def pop(self, *exc: BaseException | None) -> None:
        """Leave it, and go back to the app that was at work before."""
        try:
            super().pop(*exc)
        finally:
            current.reset(self._before.pop())


class Backoffice(Flask):
    """Flask, with the commit at the edge."""

    declared: Declared
    """What its domains have."""

    turns: BoundedSemaphore
    """How many requests that may change something are carried out at a time."""

    guard: Callable[[], None]
    """Refuses a request unless whoever sends it may."""

    def app_context(self) -> AppContext:
        """A context of this app."""
        return Context(self)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """As it is: every view of ours is an ordinary function, and nobody has to look whether it is."""
        return func

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
        """Carry the request out; again, if it lost a race for locks."""
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
        """Commit; what domains do of it afterwards, each in its own transaction, is done once it is answered."""
        is_a_user = actor.get().startswith("user:")
        asked = (ask(db.session()) for ask in self.declared.afterwards if is_a_user)
        wanted = [follow for follow in asked if follow is not None]
        db.session.commit()
        if wanted:
            response.call_on_close(partial(self._follow, wanted, actor.get()))

    def _follow(self, wanted: Sequence[Callable[[Session], None]], user: str) -> None:
        """Do what follows, as a save that takes its turn; whatever goes wrong is logged and spoils no answer."""
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
        except Exception as error:  # noqa: BLE001 (the answer is sent; what does not follow now is come to later)
            db.session.rollback()
            log.warning("not done afterwards", error=repr(getattr(error, "orig", error)))

    def _start_over(self) -> bool:
        """Forget the session, and ask again who may; False where that cannot be.

        What was read of a file comes again from its beginning; a view that has closed it cannot be
        called twice.
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


def retry_on_conflict(
    work: Callable[[], Done], start_over: Callable[[], bool] = lambda: True, **what: str
) -> Done:
    """Do `work`; again, if it lost a race for locks, what it did is undone and it can `start_over`."""
    for attempt in range(1, TRIES):
        try:
            return work()
        except DBAPIError as error:
            if sqlstate_of(error) not in _LOST_A_RACE:
                raise
            db.session.rollback()  # whoever rests holds nothing
            time.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 (a pause, no secret)
            if not start_over():
                raise
            log.info("repeated", sqlstate=sqlstate_of(error), attempt=attempt, **what)
    return work()


def sqlstate_of(error: DBAPIError) -> str:
    """PostgreSQL's code of what went wrong; empty where the connection itself broke."""
    return getattr(error.orig, "sqlstate", None) or ""


def begin() -> None:
    """Let the request's transaction, when it begins, be read-only unless the method may change something."""
    if request.method not in SAFE_METHODS:
        return
    if not (db.session.registry.has() and db.session().in_transaction()):
        g.reads_only = True


def init_app(app: Backoffice) -> None:
    """Leave a third of the server's threads to those who only read."""
    app.turns = BoundedSemaphore(max(1, app.config["WEB_THREADS"] * 2 // 3))


@event.listens_for(db.session, "after_begin")
def _as_the_request_is(_session: Session, _of: object, connection: Connection) -> None:
    """Read-only, if it only reads; else it waits for a lock as long as a person does, for it keeps a thread."""
    if not has_request_context():
        return
    if request.method not in SAFE_METHODS:
        milliseconds = current_app.config["WEB_LOCK_TIMEOUT"]
        if connection.info.get(WAITS_FOR_LOCKS) != milliseconds:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds:d}")
    elif g.pop("reads_only", False):
        driver: Any = connection.connection.driver_connection
        driver.read_only = True  # psycopg says so in its BEGIN, which has not been sent yet
