"""The book says up to which day nothing of gas is entered, changed or deleted any more.

Revision ID: 0039_locked_days
Revises: 0038_ledger
"""

import sqlalchemy as sa
from alembic import op

revision = "0039_locked_days"
down_revision = "0038_ledger"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No day is locked until somebody says so."""
    op.add_column("book", sa.Column("locked_until", sa.Date(), nullable=True))


def downgrade() -> None:
    """Every day is open."""
    op.drop_column("book", "locked_until")
