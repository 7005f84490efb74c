"""Our processes prove themselves: the digests of their keys are stored where only the owner reads them.

Revision ID: 0023_proof
Revises: 0022_book
"""

import sqlalchemy as sa
from alembic import op

revision = "0023_proof"
down_revision = "0022_book"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of digests."""
    op.create_table(
        "process_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column(
            "registered_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
        ),
        sa.PrimaryKeyConstraint("id", name="pk_process_keys"),
        sa.UniqueConstraint("token_hash", name="uq_process_keys_token_hash"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("process_keys")
