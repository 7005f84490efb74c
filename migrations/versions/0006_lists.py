"""Saved views, and the indexes that lists and exports read by."""

revision = "0006_lists"
down_revision = "0005_orders"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Saved views, and the indexes that lists and exports read by."""


def downgrade() -> None:
    """Take it back."""
