"""A note says by which definition it was written: versions that follow each other leave each other theirs.

Revision ID: 0024_definitions
Revises: 0023_proof
"""

import sqlalchemy as sa
from alembic import op

revision = "0024_definitions"
down_revision = "0023_proof"
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
