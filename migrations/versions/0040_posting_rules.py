"""Accounts have a use, and entries name the document that they were posted for.

Revision ID: 0040_posting_rules
Revises: 0039_locked_days
"""

import sqlalchemy as sa
from alembic import op

revision = "0040_posting_rules"
down_revision = "0039_locked_days"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No account has a use, and no entry a document, until a user says so and postings are reconciled."""
    op.add_column("accounts", sa.Column("role", sa.Text(), server_default="", nullable=False))
    op.add_column("journal_entries", sa.Column("document", sa.Text(), nullable=True))
    op.add_column("journal_entries", sa.Column("document_date", sa.Date(), nullable=True))
    op.create_check_constraint(
        op.f("ck_journal_entries_document"),
        "journal_entries",
        "(document IS NULL) = (document_date IS NULL)",
    )
    op.create_index(
        "ix_journal_entries_document",
        "journal_entries",
        ["document", "document_date"],
        postgresql_where=sa.text("document IS NOT NULL"),
    )


def downgrade() -> None:
    """Entries stay, and name no document any more."""
    op.drop_index("ix_journal_entries_document", "journal_entries")
    op.drop_constraint(op.f("ck_journal_entries_document"), "journal_entries")
    op.drop_column("journal_entries", "document_date")
    op.drop_column("journal_entries", "document")
    op.drop_column("accounts", "role")
