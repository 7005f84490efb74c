"""Runs that need approval hold the digest of what they change. Those that wait during the upgrade have none.

Revision ID: 0058_digests_of_runs
Revises: 0057_turns_of_runs
"""

import sqlalchemy as sa
from alembic import op

revision = "0058_digests_of_runs"
down_revision = "0057_turns_of_runs"
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
