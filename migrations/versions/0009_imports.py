"""Files that were uploaded, and what became of them."""

revision = "0009_imports"
down_revision = "0008_products"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Files that were uploaded, and what became of them."""


def downgrade() -> None:
    """Take it back."""
