"""Runs that need approval hold the digest of what they change. Those that wait during the upgrade have none.

Revision ID: 0057_digests_of_runs
Revises: 0056_stored_anchors
"""

import sqlalchemy as sa
from alembic import op

revision = "0057_digests_of_runs"
down_revision = "0056_stored_anchors"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the digest; its triggers come with the other objects at the end of the upgrade."""
    op.add_column("runs", sa.Column("digest", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    """The version before knows no digests, nor the objects that read them."""
    for name in (
        "backoffice_runs_requested()",
        "backoffice_runs_approved()",
        "backoffice_run_digest(jsonb)",
    ):
        op.execute(f"DROP FUNCTION IF EXISTS {name} CASCADE")
    op.drop_column("runs", "digest")
