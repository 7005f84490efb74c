"""Bringing a database up to date: migrations, generated triggers, grants, in one transaction."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Connection, Engine, NullPool, create_engine, func, make_url, select

from . import audit, figures, grants
from .config import ROOT
from .figures import acting_as

ONE_AT_A_TIME = 0x0B0FF1CE
"""Key of the advisory lock under which upgrades wait for each other."""


def upgrade(app: Flask) -> list[str]:
    """Migrate to the newest version as the owner; names what was changed.

    An interrupted upgrade leaves nothing behind, so the next one simply starts over.
    """
    engine = create_engine(
        app.config["MIGRATION_DATABASE_URL"], poolclass=NullPool, isolation_level="READ COMMITTED"
    )
    with engine.begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
        before = _versions(connection)
        command.upgrade(_alembic(connection), "head")
        migrated = [f"Migrated to {version}." for version in sorted(_versions(connection) - before)]
        triggers = figures.sync(connection) + audit.sync(connection)
        grants.sync(connection, make_url(app.config["DATABASE_URL"]).username or "")
    if triggers:
        migrated.append(f"{len(triggers)} generated database objects were renewed.")
    return migrated + _computed(engine)


def _computed(engine: Engine) -> list[str]:
    """Compute the figures that the database lacks, in transactions of their own; says of which."""
    with acting_as("upgrade"):
        return [
            f"{bundle.name}: {result.corrections} rows were computed, {len(result.failures)} failed."
            for bundle, result in figures.renew(engine)
            if result.corrections or result.failures
        ]


def missing_migrations(connection: Connection) -> list[str]:
    """The newest migrations that the database has not seen; empty when it is up to date."""
    newest = set(ScriptDirectory.from_config(_alembic(connection)).get_heads())
    return sorted(newest - _versions(connection))


def _versions(connection: Connection) -> set[str]:
    return set(MigrationContext.configure(connection).get_current_heads())


def _alembic(connection: Connection) -> Config:
    """Alembic's view of `migrations/`; it works on `connection` and leaves the commit to us."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.attributes["connection"] = connection
    return config
