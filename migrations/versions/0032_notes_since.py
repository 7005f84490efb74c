"""Notes of rows that run say from which place on.

Revision ID: 0032_notes_since
Revises: 0031_api
"""

import sqlalchemy as sa
from alembic import op

revision = "0032_notes_since"
down_revision = "0031_api"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Whatever was noted without a place is recomputed as a whole."""
    op.add_column("figure_notes", sa.Column("since", sa.Text()))


def downgrade() -> None:
    """A note without its place is recomputed as a whole."""
    op.drop_column("figure_notes", "since")
