"""The last number that was given of each series, so that none is given again.

Revision ID: 0055_number_series
Revises: 0054_looks
"""

import sqlalchemy as sa
from alembic import op

revision = "0055_number_series"
down_revision = "0054_looks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A series begins with its first number that is given, after those that its column has."""
    op.create_table(
        "number_series",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "head", name=op.f("pk_number_series")),
    )


def downgrade() -> None:
    """The version before searches the column for a free number."""
    op.drop_table("number_series")
