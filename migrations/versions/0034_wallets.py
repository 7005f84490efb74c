"""Prepaid wallets and their transactions.

Revision ID: 0034_wallets
Revises: 0033_checks
"""

import sqlalchemy as sa
from alembic import op

revision = "0034_wallets"
down_revision = "0033_checks"
branch_labels = None
depends_on = None

ACTOR = "coalesce(nullif(current_setting('backoffice.actor', true), ''), session_user)"


def upgrade() -> None:
    """Create both tables; whose a transaction was by the trail is found by an index."""
    _create_wallets()
    _create_transactions()
    op.create_index(
        "ix_audit_events_wallet_transactions_to_wallet_id",
        "audit_events",
        [sa.text("(after ->> 'wallet_id')")],
        postgresql_where=sa.text(
            "table_name = 'wallet_transactions' AND after ->> 'wallet_id' IS NOT NULL"
        ),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_audit_events_wallet_transactions_to_wallet_id", "audit_events")
    op.drop_table("wallet_transactions")
    op.drop_table("wallets")
    for table in ("drift_findings", "figure_checks"):
        op.execute(
            f"DELETE FROM {table} WHERE figure LIKE 'wallet%' OR figure LIKE 'facts:wallet%'"
        )


def _create_wallets() -> None:
    sums = ("low_limit", "balance", "total_recharged", "total_spent")
    op.create_table(
        "wallets",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("suspension_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("closing_reason", sa.Text(), server_default="", nullable=False),
        *(_money(name) for name in sums),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_wallets"),
        sa.UniqueConstraint("number", name="uq_wallets_number"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="fk_wallets_customer_id_customers"
        ),
        _no_nan("wallets", *sums),
        sa.CheckConstraint("status IN ('active', 'suspended', 'closed')", name="ck_wallets_status"),
        sa.CheckConstraint("low_limit >= 0", name="ck_wallets_low_limit"),
    )
    op.create_index("ix_wallets_customer_id", "wallets", ["customer_id"])
    op.create_index(
        "ix_wallets_attention", "wallets", ["balance"],
        postgresql_where=sa.text(
            "status = 'suspended' OR (status = 'active' AND balance < low_limit)"
        ),
    )  # fmt: skip


def _create_transactions() -> None:
    op.create_table(
        "wallet_transactions",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False),
        sa.Column("transaction_type", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(15, 2), nullable=False),
        sa.Column("service_type", sa.Text(), server_default="", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        _money("balance_before"),
        _money("balance_after"),
        sa.Column("made_by", sa.Text(), server_default=sa.text(ACTOR), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_wallet_transactions"),
        sa.UniqueConstraint("idempotency_key", name="uq_wallet_transactions_idempotency_key"),
        sa.ForeignKeyConstraint(
            ["wallet_id"], ["wallets.id"], name="fk_wallet_transactions_wallet_id_wallets"
        ),
        _no_nan("wallet_transactions", "amount", "balance_before", "balance_after"),
        sa.CheckConstraint(
            "transaction_type IN ('recharge', 'charge', 'refund', 'adjustment')",
            name="ck_wallet_transactions_transaction_type",
        ),
        sa.CheckConstraint(
            "amount > 0 OR (transaction_type = 'adjustment' AND amount < 0)",
            name="ck_wallet_transactions_amount",
        ),
    )
    op.create_index(
        "ix_wallet_transactions_wallet_id_id", "wallet_transactions", ["wallet_id", "id"]
    )


def _money(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Numeric(15, 2), server_default="0", nullable=False)


def _moment(name: str) -> sa.Column[object]:
    now = sa.func.now()
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)


def _no_nan(table: str, *columns: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        " AND ".join(f"{name} <> 'NaN'" for name in columns), name=f"ck_{table}_no_nan"
    )
