"""The Flask extensions that every process needs, made once and bound to its app: database and languages."""

import time
from collections.abc import Callable, Mapping
from select import POLLIN, poll
from typing import TYPE_CHECKING, Any, cast

import psycopg
from flask import Flask, g, has_request_context
from flask_babel import Babel
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as BoundSession
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import ConnectionPoolEntry

from ..base import Base, out_of_calendar
from ..book import APPLICATION, refuse_other_books
from ..database import proof
from ..figures.computing.registry import registry
from ..figures.keeping import hooks as figure_hooks
from .counting.watching import TimedCursor

if TYPE_CHECKING:
    from .edge import Backoffice


ASKED_AFTER_SECONDS = 1.0
"""A connection that nobody has used for so long is asked whether it is alive before it is used."""

WAITS_FOR_LOCKS = "waits_for_locks"
"""Under this name a connection's `info` holds for how many milliseconds it waits for a lock, unless told otherwise."""

BROUGHT_ALONG = "brought_along"
"""Under this name `g` holds a row that was read before the request's session, until there is one."""

_RESTED_SINCE = "rested_since"


class RequestSession(BoundSession):
    """The session of a request, a command or a job; whom the web session brought along is in it from the first."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if has_request_context() and (brought := g.pop(BROUGHT_ALONG, None)) is not None:
            self.add(brought)


class Database(SQLAlchemy):
    """Flask-SQLAlchemy; its session is declared as what every action takes."""

    session: scoped_session[Session]  # type: ignore[assignment]


db = Database(metadata=Base.metadata, session_options={"class_": RequestSession})
babel = Babel()

figure_hooks.install_session(db.session, registry)


def connect_database(app: "Backoffice") -> None:
    """Bind `db` to the app's database, and let every connection of it keep its figures right."""
    app.config["SQLALCHEMY_DATABASE_URI"] = app.config["DATABASE_URL"]
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = _engine_options(app)
    db.init_app(app)
    registry.declare(app.declared.figures)
    assert registry.bundles  # the first look seals: nothing is declared after the start
    with app.app_context():
        event.listen(db.engine, "checkin", _leave_read_only_to_the_database)
        dialect = db.engine.dialect

        @event.listens_for(db.engine, "checkout")
        def _check_out(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
            _ask_whether_it_lives(dialect, connection, record)

        refuse_other_books(db.engine)
        proof.set_secret(db.engine, app.config["SECRET_KEY"])
        out_of_calendar.read_all(db.engine)
        figure_hooks.install(db.engine, registry)
        event.listen(db.engine, "do_connect", _patience(app))


def row_outside(engine: Engine, statement: str, values: Mapping[str, Any]) -> Any:
    """The first row of a statement, or None, asked by itself and outside of every transaction.

    Every page asks one thing, so it is asked of the driver: to SQLAlchemy it costs thrice as much. Raises its errors.
    """
    pooled, connection, lost = None, None, False
    try:
        pooled = engine.raw_connection()
        connection = cast(Any, pooled.driver_connection)
        connection.autocommit = True
        row = connection.execute(statement, values).fetchone()
        connection.autocommit = False
    except BaseException as error:
        if pooled is not None:
            lost = engine.dialect.is_disconnect(error, connection, None)  # type: ignore[arg-type]
            pooled.invalidate(error)  # whatever it is, nobody gets a connection in this state
        if not isinstance(error, psycopg.Error):
            raise
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error,
            hide_parameters=True, connection_invalidated=lost, dialect=engine.dialect,
        ) from error  # fmt: skip
    finally:
        if pooled is not None:
            pooled.close()
    return row


class Extensions(dict[str, Any]):
    """`app.extensions`, where Flask-Migrate comes when it is asked for: Alembic is large, and few need it."""

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
    """A connection that is given back says nothing any more of whether its transactions only read.

    After a read-only transaction SQLAlchemy asks for READ WRITE, which a standby refuses to begin;
    and one whose administrator has made it read-only would let itself be written.
    """
    record.info[_RESTED_SINCE] = time.monotonic()
    if connection is not None and not connection.closed and connection.read_only is not None:
        connection.read_only = None


def _ask_whether_it_lives(dialect: Dialect, connection: Any, record: ConnectionPoolEntry) -> None:
    """Let the pool replace a connection that has died, without a question to the database for each request.

    PostgreSQL says good-bye when it ends a connection, and the system closes that of a killed process: then there is
    something to read. One that has rested is asked, as it may have died without a word.
    """
    rested = time.monotonic() - record.info.get(_RESTED_SINCE, time.monotonic())
    try:
        if rested > ASKED_AFTER_SECONDS or _has_news(connection):
            dialect.do_ping(connection)
    except (OSError, psycopg.Error) as error:
        # Whatever ended it has ended the others too.
        raise InvalidatePoolError(str(error)) from error


def _has_news(connection: Any) -> bool:
    news = poll()
    news.register(connection.fileno(), POLLIN)
    return bool(news.poll(0))


def _patience(app: Flask) -> Callable[..., None]:
    """How long a connection waits is asked when it is made: a command of `flask` has more time than a page."""

    def wait(
        _dialect: object,
        record: ConnectionPoolEntry | None,
        _args: object,
        parameters: dict[str, Any],
    ) -> None:
        timeouts = {
            name: app.config[name.upper()] for name in ("lock_timeout", "statement_timeout")
        }
        parameters["options"] = " ".join(f"-c {name}={ms}" for name, ms in timeouts.items())
        if record is not None:
            record.info[WAITS_FOR_LOCKS] = timeouts["lock_timeout"]

    return wait


def _engine_options(app: Flask) -> dict[str, Any]:
    connect = {
        "application_name": APPLICATION,
        "cursor_factory": TimedCursor,
        # A database that is gone is noticed within seconds, behind a silent network too.
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }
    return {
        "connect_args": connect,
        "isolation_level": "READ COMMITTED",
        "hide_parameters": True,  # an error's text goes to the log; what people typed does not
        "pool_size": 10,
        "max_overflow": max(10, app.config["WEB_THREADS"] - 4),  # more than there are threads
        "pool_timeout": 5,
    }
