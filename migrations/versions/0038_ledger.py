"""The ledger: accounts, journal entries and their lines.

Revision ID: 0038_ledger
Revises: 0037_lines_by_themselves
"""

import sqlalchemy as sa
from alembic import op

revision = "0038_ledger"
down_revision = "0037_lines_by_themselves"
branch_labels = None
depends_on = None

LEADS_TO = ("entry_id", "account_id")
BALANCE = "CASE WHEN (type IN ('asset', 'expense')) THEN debits - credits ELSE credits - debits END"


def upgrade() -> None:
    """Create the tables; to which entry and account a line belonged by the trail is found by an index."""
    _create_accounts()
    _create_entries()
    _create_lines()
    for column in LEADS_TO:
        op.create_index(
            f"ix_audit_events_journal_lines_to_{column}",
            "audit_events",
            [sa.text(f"(after ->> '{column}')")],
            postgresql_where=sa.text(
                f"table_name = 'journal_lines' AND after ->> '{column}' IS NOT NULL"
            ),
        )


def downgrade() -> None:
    """Drop them."""
    for column in LEADS_TO:
        op.drop_index(f"ix_audit_events_journal_lines_to_{column}", "audit_events")
    for table in ("journal_lines", "journal_entries", "accounts"):
        op.drop_table(table)
    for table in ("drift_findings", "figure_checks"):
        op.execute(
            f"DELETE FROM {table} WHERE figure LIKE 'accounts.%' OR figure LIKE 'facts:journal%'"
            " OR figure = 'facts:accounts'"
        )


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        _text("code"),
        _text("name"),
        _text("type"),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        _money("debits"),
        _money("credits"),
        sa.Column(
            "balance", sa.Numeric(15, 2), sa.Computed(BALANCE, persisted=True), nullable=False
        ),
        *_kept(),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("code", name="uq_accounts_code"),
        sa.ForeignKeyConstraint(["parent_id"], ["accounts.id"], name="fk_accounts_parent_id_accounts"),
        _no_nan("accounts", "debits", "credits", "balance"),
        sa.CheckConstraint(
            "type IN ('asset', 'liability', 'equity', 'revenue', 'expense')", name="ck_accounts_type"
        ),
        sa.CheckConstraint("parent_id <> id", name="ck_accounts_parent"),
    )  # fmt: skip
    op.create_index("ix_accounts_parent_id", "accounts", ["parent_id"])


def _create_entries() -> None:
    op.create_table(
        "journal_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        _text("number"),
        sa.Column("entry_date", sa.Date(), nullable=False),
        _text("memo", ""),
        _text("source", ""),
        _text("status", "draft"),
        sa.Column("posting_number", sa.Integer(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("reverses_entry_id", sa.BigInteger(), nullable=True),
        *_kept(),
        sa.PrimaryKeyConstraint("id", name="pk_journal_entries"),
        sa.UniqueConstraint("number", name="uq_journal_entries_number"),
        sa.UniqueConstraint("idempotency_key", name="uq_journal_entries_idempotency_key"),
        sa.UniqueConstraint("reverses_entry_id", name="uq_journal_entries_reverses_entry_id"),
        sa.ForeignKeyConstraint(
            ["reverses_entry_id"],
            ["journal_entries.id"],
            name="fk_journal_entries_reverses_entry_id_journal_entries",
        ),
        sa.CheckConstraint("status IN ('draft', 'posted')", name="ck_journal_entries_status"),
        sa.CheckConstraint(
            "(status = 'posted') = (posting_number IS NOT NULL)",
            name="ck_journal_entries_posting_number",
        ),
    )
    op.create_index(
        "ix_journal_entries_posting_number",
        "journal_entries",
        [sa.text("EXTRACT(year FROM entry_date)"), "posting_number"],
        unique=True,
    )
    op.create_index("ix_journal_entries_entry_date_id", "journal_entries", ["entry_date", "id"])


def _create_lines() -> None:
    op.create_table(
        "journal_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        _money("debit"),
        _money("credit"),
        _text("memo", ""),
        sa.Column("posted_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_journal_lines"),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["journal_entries.id"],
            name="fk_journal_lines_entry_id_journal_entries",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_journal_lines_account_id_accounts"
        ),
        _no_nan("journal_lines", "debit", "credit"),
        sa.CheckConstraint(
            "debit >= 0 AND credit >= 0 AND (debit = 0) <> (credit = 0)",
            name="ck_journal_lines_one_side",
        ),
    )
    op.create_index("ix_journal_lines_entry_id", "journal_lines", ["entry_id"])
    op.create_index(
        "ix_journal_lines_account_id_posted_on_id",
        "journal_lines",
        ["account_id", "posted_on", "id"],
    )


def _text(name: str, default: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _money(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Numeric(15, 2), server_default="0", nullable=False)


def _kept() -> tuple[sa.Column[object], ...]:
    """The version of a row, and its moments."""
    moments = (
        sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)
        for name in ("created_at", "updated_at")
    )
    return (sa.Column("version", sa.Integer(), server_default="1", nullable=False), *moments)


def _no_nan(table: str, *columns: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        " AND ".join(f"{name} <> 'NaN'" for name in columns), name=f"ck_{table}_no_nan"
    )
