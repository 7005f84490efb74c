"""Which migrations have been applied to a database, and which it lacks."""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


def missing_migrations(connection: Connection) -> list[str]:
    """The head revisions that have not been applied to the database; empty when it is up to date."""
    return sorted(_newest() - seen_by(connection))


@cache
def _newest() -> frozenset[str]:
    """The head revisions of this version's files: read once, since `/readyz` asks every ten seconds."""
    from alembic.script import ScriptDirectory  # Alembic is large, and rarely needed

    return frozenset(ScriptDirectory(str(MIGRATIONS)).get_heads())


def seen_by(connection: Connection) -> set[str]:
    """The newest migration of each branch that has been applied to the database."""
    from alembic.runtime.migration import MigrationContext

    return set(MigrationContext.configure(connection).get_current_heads())
