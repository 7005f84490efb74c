"""A note says by which definition it was written: versions that follow each other leave each other theirs.

Revision ID: 0026_definitions
Revises: 0025_balance_stamps
"""

import sqlalchemy as sa
from alembic import op

revision = "0026_definitions"
down_revision = "0025_balance_stamps"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Notes that wait already are drained by whoever keeps the figures by the database's definition."""
    op.add_column(
        "figure_notes", sa.Column("definition", sa.Text(), nullable=False, server_default="")
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_column("figure_notes", "definition")
