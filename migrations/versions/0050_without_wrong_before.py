"""Notes no longer record whether an owner was wrong before the write.

Notes that recorded only that stay: their owners are recomputed once more, which changes nothing.

Revision ID: 0050_without_wrong_before
Revises: 0049_merges_stay
"""

import sqlalchemy as sa
from alembic import op

revision = "0050_without_wrong_before"
down_revision = "0049_merges_stay"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the column."""
    op.drop_column("figure_notes", "was_wrong")


def downgrade() -> None:
    """A constant default: no row is rewritten."""
    op.add_column(
        "figure_notes",
        sa.Column("was_wrong", sa.Boolean(), server_default=sa.false()),
    )
