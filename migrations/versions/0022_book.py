"""What the book means is stored in it: its currency and its business time zone.

`db upgrade` records them, from the settings, when the triggers of the audit trail are there.

Revision ID: 0022_book
Revises: 0021_net_and_gross
"""

import sqlalchemy as sa
from alembic import op

revision = "0022_book"
down_revision = "0021_net_and_gross"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of one row."""
    op.create_table(
        "book",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("business_timezone", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "set_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("id", name="pk_book"),
        sa.CheckConstraint("id = 1", name=op.f("ck_book_one_row")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("book")
