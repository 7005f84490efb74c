"""A world for a test: its tables, triggers, sessions, another program, and a superuser without triggers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, delete
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from backoffice.database.objects import SchemaFingerprint
from backoffice.database.proof import prove
from backoffice.figures import Finding, Registry
from backoffice.figures.keeping import hooks, triggers
from backoffice.figures.models import FigureNote
from backoffice.figures.verifying.verification import verify


@dataclass
class World:
    """One registry in use on a database."""

    registry: Registry
    engine: Engine
    sessions: sessionmaker[Session]
    outside: psycopg.Connection[Any]
    """Another program; each statement is committed at once."""
    surgery: psycopg.Connection[Any]
    """A superuser that writes with every trigger disabled."""
    open_outside: Callable[[], psycopg.Connection[Any]]
    """Opens another program's connection with explicit commits."""

    def drift(self, **scope: Any) -> list[Finding]:
        """All findings of a verification."""
        return list(verify(self.engine, self.registry, **scope))


Building = Callable[[type[DeclarativeBase], Registry], AbstractContextManager[World]]
"""Makes a world for the duration of a `with`."""


@contextmanager
def a_world(
    base: type[DeclarativeBase], registry: Registry, *, owner: str, app: str, admin: str
) -> Iterator[World]:
    """The world of `registry` over the tables of `base`, created and dropped as the owner."""
    with ExitStack() as stack:
        making = create_engine(_sqlalchemy(owner))
        stack.callback(making.dispose)
        with making.begin() as connection:
            base.metadata.create_all(connection)
            stack.callback(_drop, making, base, registry)
            for table in base.metadata.sorted_tables:
                name = connection.dialect.identifier_preparer.format_table(table)
                grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO backoffice_app"
                connection.exec_driver_sql(grant)
            triggers.sync(connection, registry)
        engine, sessions = keeping(app, registry)
        stack.callback(engine.dispose)
        outside = stack.enter_context(psycopg.connect(owner, autocommit=True))
        surgery = stack.enter_context(psycopg.connect(admin, autocommit=True))
        surgery.execute("SET session_replication_role = replica")
        yield World(registry, engine, sessions, outside, surgery, lambda: psycopg.connect(owner))


def keeping(url: str, registry: Registry) -> tuple[Engine, sessionmaker[Session]]:
    """An engine and sessions that keep the registry's figures right, as the app's do."""
    engine = create_engine(_sqlalchemy(url), connect_args={"cursor_factory": hooks.NotingCursor})
    hooks.install(engine, registry)
    sessions = sessionmaker(engine, class_=type("ASession", (Session,), {}))
    hooks.install_session(sessions, registry)
    return engine, sessions


def drop(connection: Connection, base: type[DeclarativeBase], registry: Registry) -> None:
    """Drop the tables, and the functions of their triggers, which would outlive them."""
    base.metadata.drop_all(connection)
    quote = connection.dialect.identifier_preparer.quote
    for item in triggers.note_objects(registry):
        connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS public.{quote(item.name)}()")


def _drop(engine: Engine, base: type[DeclarativeBase], registry: Registry) -> None:
    with engine.begin() as connection:
        drop(connection, base, registry)
        prove(connection)
        connection.execute(delete(FigureNote))
        ours = SchemaFingerprint.group == registry.name
        connection.execute(delete(SchemaFingerprint).where(ours))


def _sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
