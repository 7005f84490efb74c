"""Dates out of range are no longer looked for: open findings of them are closed, and say why.

The CHECKs on dates stay. Closed findings of the kind stay, too.

Revision ID: 0052_without_dates
Revises: 0051_declarations_are_tested
"""

from alembic import op

revision = "0052_without_dates"
down_revision = "0051_declarations_are_tested"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Close the findings."""
    op.execute("""
        UPDATE drift_findings SET healed_at = now(), healed_by = 'dropped'
        WHERE kind = 'impossible' AND healed_at IS NULL
    """)
    op.execute("DELETE FROM figure_checks WHERE figure LIKE 'dates:%'")


def downgrade() -> None:
    """Open them again; the next verification compares them."""
    op.execute("""
        UPDATE drift_findings SET healed_at = NULL, healed_by = '' WHERE healed_by = 'dropped'
    """)
