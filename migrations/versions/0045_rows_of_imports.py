"""A dry run of files keeps the rows that their lines name, and no fingerprint of its result.

Files that are checked but not imported keep no rows: they open as they were, and need another dry run.

Revision ID: 0045_rows_of_imports
Revises: 0044_months_of_gas
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0045_rows_of_imports"
down_revision = "0044_months_of_gas"
branch_labels = None
depends_on = None

TABLE = "import_outcomes"


def upgrade() -> None:
    """The rows in place of the fingerprint."""
    op.add_column(TABLE, sa.Column("rows", JSONB))
    op.drop_column(TABLE, "fingerprint")


def downgrade() -> None:
    """The fingerprint is empty, which fits no import: the files need another dry run, too."""
    op.add_column(TABLE, sa.Column("fingerprint", sa.Text, server_default="", nullable=False))
    op.alter_column(TABLE, "fingerprint", server_default=None)
    op.drop_column(TABLE, "rows")
