"""Notes that could not be drained are tried again later, and later each time.

Revision ID: 0017_note_retries
Revises: 0016_schedules
"""

import sqlalchemy as sa
from alembic import op

revision = "0017_note_retries"
down_revision = "0016_schedules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Count the attempts."""
    op.add_column(
        "figure_notes", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("figure_notes", sa.Column("retry_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Forget them."""
    op.drop_column("figure_notes", "retry_at")
    op.drop_column("figure_notes", "attempts")
