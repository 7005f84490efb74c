"""The Flask extensions that every process needs, created once and bound to its app: database and languages."""

import time
from collections.abc import Callable
from select import POLLIN, poll
from typing import TYPE_CHECKING, Any

import psycopg
from flask import Flask, g, has_request_context
from flask_babel import Babel
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as BoundSession
from sqlalchemy import Dialect, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import ConnectionPoolEntry

from ..base import Base, out_of_calendar
from ..book import APPLICATION, refuse_other_books
from ..database import proof
from ..database.connections import LastingConnection
from ..figures.computing.registry import registry
from ..figures.keeping import hooks as figure_hooks
from .counting.watching import TimedCursor

if TYPE_CHECKING:
    from .edge import Backoffice


ASKED_AFTER_SECONDS = 1.0
"""A connection that has been idle for longer is pinged before it is used."""

WAITS_FOR_LOCKS = "waits_for_locks"
"""The key of a connection's `info` for its default lock timeout in milliseconds."""

BROUGHT_ALONG = "brought_along"
"""The key of `g` for a row that was read before the request's database session exists, until it does."""

_RESTED_SINCE = "rested_since"


class RequestSession(BoundSession):
    """The session of a request, a command or a job; a user loaded with the web session is added to it at once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if has_request_context() and (brought := g.pop(BROUGHT_ALONG, None)) is not None:
            self.add(brought)


class Database(SQLAlchemy):
    """Flask-SQLAlchemy, with its session typed as actions expect it."""

    session: scoped_session[Session]  # type: ignore[assignment]


db = Database(metadata=Base.metadata, session_options={"class_": RequestSession})
babel = Babel()

figure_hooks.install_session(db.session, registry)


def connect_database(app: "Backoffice") -> None:
    """Bind `db` to the app's database, and install the figure hooks on its connections."""
    app.config["SQLALCHEMY_DATABASE_URI"] = app.config["DATABASE_URL"]
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(app)
    db.init_app(app)
    registry.declare(app.declared.figures)
    assert registry.bundles  # seals the registry: nothing is declared after the start
    with app.app_context():
        event.listen(db.engine, "checkin", _leave_read_only_to_the_database)
        dialect = db.engine.dialect

        @event.listens_for(db.engine, "checkout")
        def _check_out(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
            _ask_whether_it_lives(dialect, connection, record)

        refuse_other_books(db.engine)
        proof.set_secret(db.engine, app.config["SECRET_KEY"])
        out_of_calendar.read_all(db.engine)
        figure_hooks.install(db.engine, registry, app.declared.unwatched)
        event.listen(db.engine, "do_connect", _connecting(app))


class Extensions(dict[str, Any]):
    """`app.extensions`, which adds Flask-Migrate at its first use: Alembic is large, and rarely needed."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app.extensions)
        self.app = app

    def __missing__(self, name: str) -> Any:
        if name != "migrate":
            raise KeyError(name)
        from flask_migrate import Migrate

        from ..database.revisions import MIGRATIONS

        Migrate(self.app, db, directory=str(MIGRATIONS), render_as_batch=False)
        return self[name]


def _leave_read_only_to_the_database(connection: Any, record: ConnectionPoolEntry) -> None:
    """Reset the read-only setting of a connection that is returned to the pool to the database's default.

    After a read-only transaction SQLAlchemy sets READ WRITE, which a standby refuses;
    and a database that its administrator has made read-only would accept writes.
    """
    record.info[_RESTED_SINCE] = time.monotonic()
    if connection is not None and not connection.closed and connection.read_only is not None:
        connection.read_only = None


def _ask_whether_it_lives(dialect: Dialect, connection: Any, record: ConnectionPoolEntry) -> None:
    """Have the pool replace a connection that has died, without a ping for each request.

    PostgreSQL sends a message when it ends a connection, and the system closes that of a killed process: then there is
    something to read. One that has been idle is pinged, as it may have died without notice.
    """
    rested = time.monotonic() - record.info.get(_RESTED_SINCE, time.monotonic())
    try:
        if rested > ASKED_AFTER_SECONDS or _has_news(connection):
            dialect.do_ping(connection)
    except (OSError, psycopg.Error) as error:
        # Its cause has ended the other connections too.
        raise InvalidatePoolError(str(error)) from error


def _has_news(connection: Any) -> bool:
    news = poll()
    news.register(connection.fileno(), POLLIN)
    return bool(news.poll(0))


def _connecting(app: Flask) -> Callable[..., LastingConnection]:
    """Open a connection, with the timeouts of now: a `flask` command changes them after the app is created."""

    def connect(
        _dialect: object,
        record: ConnectionPoolEntry | None,
        args: list[Any],
        parameters: dict[str, Any],
    ) -> LastingConnection:
        timeouts = {
            name: app.config[name.upper()] for name in ("lock_timeout", "statement_timeout")
        }
        parameters["options"] = " ".join(f"-c {name}={ms}" for name, ms in timeouts.items())
        if record is not None:
            record.info[WAITS_FOR_LOCKS] = timeouts["lock_timeout"]
        return LastingConnection.connect(*args, **parameters)

    return connect


def _engine_options(app: Flask) -> dict[str, Any]:
    connect = {
        "application_name": APPLICATION,
        "cursor_factory": TimedCursor,
        # A lost database is detected within seconds, even behind a network that drops packets.
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    return {
        "connect_args": connect,
        "isolation_level": "READ COMMITTED",
        "hide_parameters": True,  # error messages are logged; what users typed must not be
        "pool_size": 10,
        "max_overflow": max(10, app.config["WEB_THREADS"] - 4),  # more than there are threads
        "pool_timeout": 5,
    }
