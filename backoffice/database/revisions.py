"""Which migrations a database has seen, and which it lacks."""

from pathlib import Path

from sqlalchemy import Connection

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def missing_migrations(connection: Connection) -> list[str]:
    """The newest migrations that the database has not seen; empty when it is up to date."""
    from alembic.script import ScriptDirectory  # Alembic is large, and few need it

    newest = set(ScriptDirectory(str(MIGRATIONS)).get_heads())
    return sorted(newest - seen_by(connection))


def seen_by(connection: Connection) -> set[str]:
    """The newest migration of each branch that the database has seen."""
    from alembic.runtime.migration import MigrationContext

    return set(MigrationContext.configure(connection).get_current_heads())
