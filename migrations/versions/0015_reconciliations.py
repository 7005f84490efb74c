"""Reconciliation reports that are kept for download.

Revision ID: 0015_reconciliations
Revises: 0014_tokens
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015_reconciliations"
down_revision = "0014_tokens"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the reports and their parts. What is compressed already is not compressed again."""
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("run_id", sa.BigInteger()),
        sa.Column("figure", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("until", sa.DateTime(timezone=True)),
        _count("rows"),
        _count("drifted"),
        sa.Column("totals", JSONB, nullable=False, server_default="{}"),
        _count("size"),
        sa.Column("sha256", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_reconciliations"),
        sa.UniqueConstraint("run_id", "figure", name=op.f("uq_reconciliations_run_id_figure")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_reconciliations_run_id_runs", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_reconciliations_created_at_id", "reconciliations", ["created_at", "id"])
    op.create_table(
        "reconciliation_parts",
        sa.Column("reconciliation_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("reconciliation_id", "number", name="pk_reconciliation_parts"),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"],
            ["reconciliations.id"],
            name="fk_reconciliation_parts_reconciliation_id_reconciliations",
            ondelete="CASCADE",
        ),
    )
    op.execute("ALTER TABLE reconciliation_parts ALTER COLUMN content SET STORAGE EXTERNAL")


def downgrade() -> None:
    """Drop them."""
    op.drop_table("reconciliation_parts")
    op.drop_table("reconciliations")


def _count(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
