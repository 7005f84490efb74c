"""Sessions in PostgreSQL: the browser holds a random number, the table only its digest.

A session is read at most once a request, together with its user, in one statement, and written only when something in
it changed. A cookie is invalid as soon as its row is deleted: after signing out, when the user is disabled, and when
their password or role changes.
"""

import hashlib
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import structlog
from flask import Flask, Request, Response, g
from flask import request as current_request
from flask import session as current_session
from flask.sessions import SessionInterface, SessionMixin
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, inspect, select, update
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import make_transient_to_detached

from ..app import edge
from ..app.extensions import BROUGHT_ALONG, db
from ..app.protection import login_manager
from ..database.connections import row_outside
from ..people.models import User, WebSession

log = structlog.get_logger("backoffice.security.sessions")

IDLE = timedelta(hours=8)
"""A session ends after this much time without use."""

LONGEST = timedelta(hours=24)
"""A session ends after this much time, used or not."""

UNKNOWN_VISITOR = timedelta(hours=2)
"""How long an anonymous visitor's sign-in form stays valid."""

TOUCH = timedelta(minutes=15)
"""How much of the idle time may pass before a request extends it, so that most requests write nothing."""

_FLASK_LOGIN_ONLY = ("_id", "_fresh", "_remember")
"""Keys that Flask-Login writes for features that are switched off here."""

_USER = inspect(User).column_attrs.keys()
_OF_SESSION = (WebSession.user_id, WebSession.data, WebSession.created_at, WebSession.expires_at)
_OF_USER = len(_OF_SESSION)
"""The index in the row at which the user's columns begin."""

_READ = str(
    select(*_OF_SESSION, *(getattr(User, name) for name in _USER))
    .outerjoin(User, and_(User.id == WebSession.user_id, User.is_active))
    .where(WebSession.id == bindparam("digest"), WebSession.expires_at > func.now())
    .compile(dialect=psycopg.dialect())  # type: ignore[no-untyped-call]
)


def digest(token: str) -> str:
    """The digest of a cookie's `token`, as stored in the table."""
    return hashlib.sha256(token.encode()).hexdigest()


class ServerSession(SessionMixin):
    """One browser's session: a mapping, read from the table on first access.

    `user` is the signed-in, active user fetched by the same statement, or None; `choices` are their language and
    number format, which remain available when the database is down.
    """

    def __init__(self, token: str | None) -> None:
        self._cookie = token
        self.token = token
        self.user: User | None = None
        self.modified = False
        self.ends_at: datetime | None = None
        self.began_at: datetime | None = None
        self.superseded: list[str] = []
        self.is_renewed = False
        self.user_id: str | None = None
        self.proved_hash = ""
        self.cookie_is_dead = False
        self.is_given_up = False
        self.choices: dict[str, str] = {}
        self._data: dict[str, Any] | None = None

    @property
    def is_stored(self) -> bool:
        """Whether the table has a row for `token`."""
        return self.began_at is not None

    @property
    def is_loaded(self) -> bool:
        """Whether the session was accessed during this request."""
        return self._data is not None

    @property
    def data(self) -> dict[str, Any]:
        """The content, read from the table at the first access."""
        if self._data is None:
            self._data = self._read()
        return self._data

    def _read(self) -> dict[str, Any]:
        if self.token is None:
            return {}
        edge.begin()
        # Outside the request's transaction: a page that reads nothing else needs one round trip.
        row = row_outside(db.engine, _READ, {"digest": digest(self.token)})
        if row is None:
            return self._of_anonymous()
        user_id, data, began_at, ends_at = row[:_OF_USER]
        of_user = dict(zip(_USER, row[_OF_USER:], strict=True))
        if user_id != of_user["id"]:  # the statement fetches only an active user
            return self._of_anonymous()
        self.began_at, self.ends_at = began_at, ends_at
        if user_id is None:
            return dict(data)
        self.user = _user_of(of_user)
        self.user_id = str(user_id)
        self.choices = {name: of_user[name] for name in ("language", "number_format")}
        return {**data, "_user_id": self.user_id}

    def _of_anonymous(self) -> dict[str, Any]:
        self.token, self.cookie_is_dead = None, True
        return {}

    def start_over(self) -> None:
        """Discard what this request read from and wrote to the session, because it is repeated."""
        vars(self).update(vars(ServerSession(self._cookie)))

    def give_up(self) -> None:
        """Answer without the database from here on: as to an anonymous visitor, and nothing is stored.

        The cookie stays as it is: the user is still signed in when the database is back.
        """
        self._data, self.user, self.is_given_up = {}, None, True
        for name in edge.OF_THE_SESSION:
            g.pop(name, None)

    def renew(self, proved_hash: str = "") -> None:
        """Continue under a new random id; the old cookie is invalid once this request is saved.

        Called wherever the rights of a session change, so that a planted or stolen id gains nothing. `proved_hash` is
        the hash of the password given at sign-in: if the password was changed meanwhile, no session is stored.
        """
        data = self.data
        if self.is_stored and self.token is not None:
            self.superseded.append(digest(self.token))
        self.token, self.began_at, self.ends_at, self.is_renewed = None, None, None, True
        self.proved_hash = proved_hash
        data.pop("csrf_token", None)
        self.modified = True

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.data[key] = value
        self.modified = True

    def __delitem__(self, key: str) -> None:
        del self.data[key]
        self.modified = True

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


def _user_of(read: dict[str, Any]) -> User:
    """The user fetched by the statement, as if the request's own session had read them."""
    user: User = inspect(User).class_manager.new_instance()
    vars(user).update(read)
    make_transient_to_detached(user)
    if db.session.registry.has():
        return db.session.merge(user, load=False)
    setattr(g, BROUGHT_ALONG, user)
    return user


@cache
def _cookie_name(secret_key: str) -> str:
    return "backoffice_" + hashlib.sha256(secret_key.encode()).hexdigest()[:8]


class PostgresSessions(SessionInterface):
    """Opens a session without touching the database, and saves it only if it changed."""

    def get_cookie_name(self, app: Flask) -> str:
        """A cookie name unique to this installation: cookies do not distinguish two ports of one host."""
        return _cookie_name(str(app.secret_key))

    def open_session(self, app: Flask, request: Request) -> ServerSession:
        """The session of the request's cookie; nothing is read yet."""
        return ServerSession(request.cookies.get(self.get_cookie_name(app)) or None)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Store the changes, after the request's own work has been committed or rolled back."""
        if not isinstance(session, ServerSession) or not session.is_loaded or session.is_given_up:
            return
        if not session.modified and not _is_due_for_extension(session):
            if session.cookie_is_dead:
                self._drop_cookie(app, response)
            return
        if not response.is_streamed:
            db.session.rollback()  # release the connection; the request's own work has ended already
        try:
            is_kept = _store(session)
        except DBAPIError as error:
            if not (session.is_stored and current_request.method in edge.SAFE_METHODS):
                raise
            log.warning("session not stored", sqlstate=edge.sqlstate_of(error))
            return  # reading goes on with the existing session, on a standby too
        if is_kept:
            self._set_cookie(app, session, response)
        else:
            self._drop_cookie(app, response)

    def _set_cookie(self, app: Flask, session: ServerSession, response: Response) -> None:
        response.set_cookie(
            self.get_cookie_name(app),
            session.token or "",
            httponly=True,
            samesite="Lax",
            secure=current_request.is_secure or bool(app.config["SESSION_COOKIE_SECURE"]),
            path=self.get_cookie_path(app),
        )

    def _drop_cookie(self, app: Flask, response: Response) -> None:
        response.delete_cookie(self.get_cookie_name(app), path=self.get_cookie_path(app))


def _is_due_for_extension(session: ServerSession) -> bool:
    if session.user is None or session.began_at is None or session.ends_at is None:
        return False
    return _end(session.began_at, signed_in=True) - session.ends_at > TOUCH


def _end(began_at: datetime, *, signed_in: bool) -> datetime:
    if not signed_in:
        return datetime.now(UTC) + UNKNOWN_VISITOR
    return min(datetime.now(UTC) + IDLE, began_at + LONGEST)


def _store(session: ServerSession) -> bool:
    """Write `session`; return whether it still exists afterwards.

    A row deleted meanwhile (signed out elsewhere, disabled) is never written again.
    """
    kept = {k: v for k, v in session.data.items() if k not in _FLASK_LOGIN_ONLY}
    user_id = kept.pop("_user_id", None)
    if user_id is not None and not session.is_renewed:
        user_id = session.user_id  # never sign in under an id that existed before
    signed_in = user_id is not None
    values: dict[str, Any] = {"user_id": int(user_id) if signed_in else None, "data": kept}
    with db.engine.begin() as connection:
        if session.superseded:
            connection.execute(delete(WebSession).where(WebSession.id.in_(session.superseded)))
        if not kept and not signed_in:
            if session.token is not None:
                connection.execute(delete(WebSession).where(WebSession.id == digest(session.token)))
            return False
        if session.is_stored and session.token is not None and session.began_at is not None:
            values["expires_at"] = _end(session.began_at, signed_in=signed_in)
            own_row = WebSession.id == digest(session.token)
            written = connection.execute(update(WebSession).where(own_row).values(values))
            return written.rowcount == 1
        if signed_in and not _is_still_let_in(connection, values["user_id"], session.proved_hash):
            return False
        session.token = secrets.token_urlsafe(32)
        values["expires_at"] = _end(datetime.now(UTC), signed_in=signed_in)
        connection.execute(insert(WebSession).values(id=digest(session.token), **values))
        return True


def _is_still_let_in(connection: Connection, user_id: int, proved_hash: str) -> bool:
    """Whether the password is still the one given; a concurrent change waits for this lock, then ends the session."""
    same = select(User.id).where(User.id == user_id, User.password_hash == proved_hash)
    return connection.scalar(same.with_for_update(read=True)) is not None


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _load_user(user_id: str) -> User | None:
    """The user that the session fetched with its own statement."""
    user = current_session.user if isinstance(current_session, ServerSession) else None
    return user if user is not None and user.get_id() == user_id else None


def init_app(app: Flask) -> None:
    """Keep this app's sessions in its database, and let Flask-Login read its user from them.

    A CSRF token lives as long as its session.
    """
    app.session_interface = PostgresSessions()
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    login_manager.init_app(app)
