"""The dry run of an import shows the stored totals that move with it.

Revision ID: 0030_totals_of_imports
Revises: 0029_declared_functions
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0030_totals_of_imports"
down_revision = "0029_declared_functions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A constant default: no row is rewritten. What was checked before is checked anew when it is to be imported."""
    op.add_column(
        "import_outcomes", sa.Column("moved", JSONB(), server_default="{}", nullable=False)
    )


def downgrade() -> None:
    """Show them no more."""
    op.drop_column("import_outcomes", "moved")
