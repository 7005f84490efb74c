"""A note says of whom something was wrong before the statement that wrote.

Revision ID: 0028_wrong_before
Revises: 0027_impossible_dates
"""

import sqlalchemy as sa
from alembic import op

revision = "0028_wrong_before"
down_revision = "0027_impossible_dates"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A constant default: no row is rewritten."""
    op.add_column(
        "figure_notes",
        sa.Column("was_wrong", sa.Boolean(), server_default=sa.false()),
    )


def downgrade() -> None:
    """Notes that only say so would be taken for others."""
    op.execute("DELETE FROM figure_notes WHERE was_wrong IS NOT FALSE")
    op.drop_column("figure_notes", "was_wrong")
