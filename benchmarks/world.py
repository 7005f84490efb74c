"""The benchmarks' own PostgreSQL, durable as in production, with the app on it; removed afterwards."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask
from psycopg import sql

from backoffice import create_app
from backoffice.app.config import READERS
from backoffice.app.extensions import db
from backoffice.commands.upgrade import upgrade
from backoffice.database.embedded import ADMIN, APP, OWNER, Services

SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "work_mem", "jit")
"""Settings of the server that the report states."""


@dataclass(frozen=True)
class World:
    """One cluster with the app's migrated database, and copies of it with other triggers."""

    services: Services
    app: Flask

    def url(self, role: str = APP, database: str = "backoffice") -> str:
        """The URL of a database of the cluster for `role`, in libpq's form."""
        return self.services.postgres.url(role).replace("/backoffice?", f"/{database}?")

    def sqlalchemy_url(self, database: str) -> str:
        """The URL of a database of the cluster for the app's role, in SQLAlchemy's form."""
        return self.url(APP, database).replace("postgresql://", "postgresql+psycopg://", 1)

    def app_on(self, database: str) -> Flask:
        """Create another app, on another database of the cluster."""
        settings = {"DATABASE_URL": self.url(APP, database)}
        kept = ("BACKOFFICE_HOME", "REDIS_URL", "SECRET_KEY", "STATEMENT_TIMEOUT")
        return create_app(settings | {name: self.app.config[name] for name in kept})

    def connect(self, role: str = APP, database: str = "backoffice") -> psycopg.Connection[Any]:
        """A plain connection in autocommit mode."""
        return psycopg.connect(self.url(role, database), autocommit=True)

    def copy_database(self, name: str) -> None:
        """Create a database with the current tables, triggers and rows of the app's."""
        with self.app.app_context():
            db.engine.dispose()  # a template database must have no connections
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE backoffice OWNER {} STRATEGY file_copy")
        with self.connect(ADMIN, "postgres") as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(OWNER)))

    def put_triggers_to_sleep(self, database: str, pattern: str) -> None:
        """Disable the triggers with names that match, as the owner of the tables."""
        query = (
            "SELECT format('ALTER TABLE %%s DISABLE TRIGGER %%I', tgrelid::regclass, tgname) "
            "FROM pg_trigger WHERE NOT tgisinternal AND tgname ~ %s"
        )
        with self.connect(OWNER, database) as connection:
            for (statement,) in connection.execute(query, [pattern]).fetchall():
                connection.execute(statement)

    def empty(self) -> None:
        """Remove every row but those of the migrations, without firing triggers."""
        with self.connect(ADMIN) as connection:
            connection.execute("SET session_replication_role = replica")
            tables = connection.execute(
                "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' "
                "AND tablename NOT IN ('alembic_version', 'schema_fingerprints', 'book', 'process_keys')"
            ).fetchall()
            names = ", ".join(name for (name,) in tables)
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE".encode())

    def settle(self, database: str = "backoffice") -> None:
        """Vacuum, analyze and checkpoint now, so that it does not happen in the middle of a measurement."""
        with self.connect(ADMIN, database) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")

    def settings(self) -> dict[str, str]:
        """The server's version and settings."""
        with self.connect() as connection:
            version = connection.execute("SHOW server_version").fetchone()
            shown = {
                name: connection.execute(f"SHOW {name}".encode()).fetchone() for name in SETTINGS
            }
        return {"postgresql": version[0] if version else ""} | {
            name: row[0] for name, row in shown.items() if row
        }


@contextmanager
def new_world() -> Iterator[World]:
    """A cluster in a temporary home, with the app as in production; removed at the end."""
    for name in READERS:
        os.environ.pop(name, None)  # settings of a running copy must not apply here
    home = Path(tempfile.mkdtemp(prefix="backoffice-bench-"))
    home.chmod(0o711)  # root's PostgreSQL runs as another user and needs to traverse it
    try:
        services = Services(home, durable=True)
        with services.in_use(services.postgres, services.redis, tied=True):
            app = create_app({"BACKOFFICE_HOME": str(home), "STATEMENT_TIMEOUT": 0})
            with app.app_context():
                upgrade(app)
            yield World(services, app)
    finally:
        shutil.rmtree(home, ignore_errors=True)
