"""Months of the book are closed, one after the other, and reopened.

Revision ID: 0041_periods
Revises: 0040_posting_rules
"""

import sqlalchemy as sa
from alembic import op

revision = "0041_periods"
down_revision = "0040_posting_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No month is closed until a user closes it."""
    op.create_table(
        "periods",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), server_default="closed", nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopened_by", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("closing_entry_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_periods"),
        sa.UniqueConstraint("month", name="uq_periods_month"),
        sa.UniqueConstraint("closing_entry_id", name="uq_periods_closing_entry_id"),
        sa.ForeignKeyConstraint(
            ["closing_entry_id"],
            ["journal_entries.id"],
            name="fk_periods_closing_entry_id_journal_entries",
        ),
        sa.CheckConstraint("status IN ('closed', 'open')", name="ck_periods_status"),
        sa.CheckConstraint("EXTRACT(day FROM month) = 1", name="ck_periods_month"),
        sa.CheckConstraint(
            "status = 'closed' OR closing_entry_id IS NULL", name="ck_periods_closing_entry"
        ),
    )
    op.add_column("book", sa.Column("closed_until", sa.Date(), nullable=True))


def downgrade() -> None:
    """Every month is open."""
    op.drop_column("book", "closed_until")
    op.drop_table("periods")
    for table in ("drift_findings", "figure_checks"):
        op.execute(f"DELETE FROM {table} WHERE figure = 'facts:periods'")
