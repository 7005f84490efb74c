"""A closed month of gas whose stored balance a user has accepted, though its facts come to another.

Revision ID: 0043_accepted_months
Revises: 0042_approved_periods
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0043_accepted_months"
down_revision = "0042_approved_periods"
branch_labels = None
depends_on = None

TABLE = "gas_accepted_months"
AMOUNTS = ("opening_balance", "total_deposits", "total_purchases", "closing_balance")


def upgrade() -> None:
    """No month is accepted until a user accepts it."""
    amounts = (
        *(sa.Column(name, sa.Numeric(15, 2), nullable=False) for name in AMOUNTS),
        sa.Column("total_volume_sm3", sa.Numeric(15, 3), nullable=False),
    )
    op.create_table(
        TABLE,
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("year_month", sa.Text(), nullable=False),
        *amounts,
        sa.Column("calculation_details", postgresql.JSONB(), nullable=True),
        sa.Column("deposit_id", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        *(
            sa.Column(
                name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
            )
            for name in ("created_at", "updated_at")
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{TABLE}"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=f"fk_{TABLE}_customer_id_customers"
        ),
        sa.ForeignKeyConstraint(
            ["deposit_id"],
            ["deposits.id"],
            name=f"fk_{TABLE}_deposit_id_deposits",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            " AND ".join(f"{column.name} <> 'NaN'" for column in amounts),
            name=f"ck_{TABLE}_no_nan",
        ),
    )
    op.create_index(f"ix_{TABLE}_customer_id_year_month", TABLE, ["customer_id", "year_month"])
    op.create_index(f"ix_{TABLE}_deposit_id", TABLE, ["deposit_id"])
    op.create_index(
        f"ix_audit_events_{TABLE}_to_customer_id",
        "audit_events",
        [sa.text("(after ->> 'customer_id')")],
        postgresql_where=sa.text(f"table_name = '{TABLE}' AND after ->> 'customer_id' IS NOT NULL"),
    )


def downgrade() -> None:
    """Every month is what its facts come to."""
    op.drop_index(f"ix_audit_events_{TABLE}_to_customer_id", "audit_events")
    op.drop_table(TABLE)
    for table in ("drift_findings", "figure_checks"):
        op.execute(f"DELETE FROM {table} WHERE figure = 'facts:{TABLE}'")
