"""A month says who has approved that it was closed or reopened.

Revision ID: 0042_approved_periods
Revises: 0041_periods
"""

import sqlalchemy as sa
from alembic import op

revision = "0042_approved_periods"
down_revision = "0041_periods"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody had to approve what was closed before."""
    op.add_column("periods", sa.Column("approved_by", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    """Who has approved stands in the runs."""
    op.drop_column("periods", "approved_by")
