"""Anchors are stored in the database, too, so that every host knows them, and the statement of a restore.

Revision ID: 0056_stored_anchors
Revises: 0055_number_series
"""

import sqlalchemy as sa
from alembic import op

revision = "0056_stored_anchors"
down_revision = "0055_number_series"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Checks hold the line of their anchor; earlier ones stay in the files of their hosts."""
    op.add_column("audit_checks", sa.Column("anchor", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    """The files of the hosts keep their anchors; a statement of a restore counts on its own host alone."""
    op.drop_column("audit_checks", "anchor")
