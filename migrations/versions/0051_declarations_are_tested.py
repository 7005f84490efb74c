"""The database no longer records which declarations were tried on its rows.

Tests and `backoffice figures prove` try them; an upgrade does not.

Revision ID: 0051_declarations_are_tested
Revises: 0050_without_wrong_before
"""

from alembic import op

revision = "0051_declarations_are_tested"
down_revision = "0050_without_wrong_before"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Delete the records."""
    op.execute("""DELETE FROM schema_fingerprints WHERE "group" = 'figures proved'""")


def downgrade() -> None:
    """Nothing: the version before tries the declarations again and records them."""
