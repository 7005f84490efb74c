"""Up to where `verify-facts` has compared each table with the audit trail.

Revision ID: 0046_fact_marks
Revises: 0045_rows_of_imports
"""

import sqlalchemy as sa
from alembic import op

from backoffice.figures.models import Xid8

revision = "0046_fact_marks"
down_revision = "0045_rows_of_imports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Without a mark a run compares the whole table, so nothing is stored yet."""
    op.create_table(
        "fact_marks",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("horizon", Xid8(), nullable=False),
        sa.Column("system", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", name=op.f("pk_fact_marks")),
    )


def downgrade() -> None:
    """The next verification of facts compares everything anyway."""
    op.drop_table("fact_marks")
