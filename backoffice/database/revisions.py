"""Which migrations have been applied to a database, and which it lacks."""

from pathlib import Path

from sqlalchemy import Connection

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def missing_migrations(connection: Connection) -> list[str]:
    """The head revisions that have not been applied to the database; empty when it is up to date."""
    from alembic.script import ScriptDirectory  # Alembic is large, and rarely needed

    newest = set(ScriptDirectory(str(MIGRATIONS)).get_heads())
    return sorted(newest - seen_by(connection))


def seen_by(connection: Connection) -> set[str]:
    """The newest migration of each branch that has been applied to the database."""
    from alembic.runtime.migration import MigrationContext

    return set(MigrationContext.configure(connection).get_current_heads())
