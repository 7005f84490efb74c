"""Customers that were merged."""

revision = "0010_merges"
down_revision = "0009_imports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Customers that were merged."""


def downgrade() -> None:
    """Take it back."""
