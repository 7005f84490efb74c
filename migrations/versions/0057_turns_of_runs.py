"""When a chunk of each run was last claimed: the run that was served longest ago is next.

Revision ID: 0057_turns_of_runs
Revises: 0056_stored_anchors
"""

import sqlalchemy as sa
from alembic import op

revision = "0057_turns_of_runs"
down_revision = "0056_stored_anchors"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No run counts as served yet, so that runs under way are next in the order of their requests."""
    op.add_column("runs", sa.Column("served_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_runs_served_at",
        "runs",
        ["served_at"],
        postgresql_where=sa.text("served_at IS NOT NULL"),
    )


def downgrade() -> None:
    """The version before works on the runs in the order of their deliveries."""
    op.drop_index("ix_runs_served_at", "runs")
    op.drop_column("runs", "served_at")
