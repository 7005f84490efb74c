"""The Flask extensions that every process needs, made once and bound to its app: database and languages."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_babel import Babel
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.orm import Session, scoped_session

from ..base import Base, out_of_calendar
from ..book import APPLICATION, refuse_other_books
from ..figures import hooks as figure_hooks
from ..figures import proof
from ..figures.registry import registry
from .counting.watching import TimedCursor

if TYPE_CHECKING:
    from .edge import Backoffice


class Database(SQLAlchemy):
    """Flask-SQLAlchemy; its session is declared as what every action takes."""

    session: scoped_session[Session]  # type: ignore[assignment]


db = Database(metadata=Base.metadata)
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
        refuse_other_books(db.engine)
        proof.set_secret(db.engine, app.config["SECRET_KEY"])
        out_of_calendar.read_all(db.engine)
        figure_hooks.install(db.engine, registry)
        event.listen(db.engine, "do_connect", _patience(app))


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


def _leave_read_only_to_the_database(connection: Any, _record: object) -> None:
    """After a read-only transaction SQLAlchemy asks for READ WRITE, which a standby refuses to begin.

    And one whose administrator has made it read-only would let itself be written.
    """
    if connection is not None and not connection.closed and connection.read_only is False:
        connection.read_only = None


def _patience(app: Flask) -> Callable[..., None]:
    """How long a connection waits is asked when it is made: a command of `flask` has more time than a page."""

    def wait(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
        timeouts = {
            name: app.config[name.upper()] for name in ("lock_timeout", "statement_timeout")
        }
        parameters["options"] = " ".join(f"-c {name}={ms}" for name, ms in timeouts.items())

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
        "pool_pre_ping": True,
        "pool_size": 10,
        "max_overflow": max(10, app.config["WEB_THREADS"] - 4),  # more than there are threads
        "pool_timeout": 5,
    }
