"""Findings may be of checks: two sums that should come to the same, and do not.

Revision ID: 0033_checks
Revises: 0032_notes_since
"""

from alembic import op

revision = "0033_checks"
down_revision = "0032_notes_since"
branch_labels = None
depends_on = None

KINDS = "'different', 'missing', 'surplus', 'changed', 'added', 'removed', 'impossible'"


def upgrade() -> None:
    """Let findings be of checks."""
    _allow(f"{KINDS}, 'unequal'")


def downgrade() -> None:
    """Forget findings and verifications of checks."""
    op.execute("DELETE FROM drift_findings WHERE kind = 'unequal'")
    op.execute("DELETE FROM figure_checks WHERE figure LIKE 'check:%'")
    _allow(KINDS)


def _allow(kinds: str) -> None:
    name = op.f("ck_drift_findings_kind")
    op.drop_constraint(name, "drift_findings", type_="check")
    op.create_check_constraint(name, "drift_findings", f"kind IN ({kinds})")
