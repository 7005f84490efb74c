"""Targets of account managers, and changes of derived rows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0007_targets"
down_revision = "0006_lists"
branch_labels = None
depends_on = None

MONEY = sa.Numeric(15, 2)


def upgrade() -> None:
    """Create the targets, and let a note say which derived row its change is of."""
    op.add_column("figure_notes", sa.Column("key", ARRAY(sa.Text()), nullable=True))
    op.create_table(
        "account_manager_targets",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("account_manager_id", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("target", MONEY, nullable=True),
        sa.Column("achieved", MONEY, server_default="0", nullable=False),
        sa.Column("orders_closed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_account_manager_targets"),
        sa.UniqueConstraint(
            "account_manager_id",
            "month",
            name="uq_account_manager_targets_account_manager_id_month",
        ),
        sa.ForeignKeyConstraint(
            ["account_manager_id"],
            ["users.id"],
            name="fk_account_manager_targets_account_manager_id_users",
        ),
        sa.CheckConstraint(
            "extract(day FROM month) = 1", name="ck_account_manager_targets_first_of_month"
        ),
        sa.CheckConstraint(
            "target <> 'NaN' AND achieved <> 'NaN'", name="ck_account_manager_targets_no_nan"
        ),
    )
    op.create_index("ix_account_manager_targets_month", "account_manager_targets", ["month"])


def downgrade() -> None:
    """Drop the targets."""
    op.drop_table("account_manager_targets")
    op.drop_column("figure_notes", "key")
