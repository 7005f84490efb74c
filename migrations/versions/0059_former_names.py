"""An index of the former names of renamed records in the audit trail: old addresses and files find them by it.

Revision ID: 0059_former_names
Revises: 0058_digests_of_runs
"""

import sqlalchemy as sa
from alembic import op

revision = "0059_former_names"
down_revision = "0058_digests_of_runs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index(
        "ix_audit_events_former_name",
        "audit_events",
        [
            "table_name",
            sa.text("(coalesce(before ->> 'code', before ->> 'number', before ->> 'reference'))"),
        ],
        postgresql_where=sa.text(
            "action = 'UPDATE' AND before ?| ARRAY['code', 'number', 'reference']"
        ),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_audit_events_former_name", "audit_events")
