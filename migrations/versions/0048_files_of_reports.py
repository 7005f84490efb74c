"""The file of a kept report is one value of its row.

The parts of each report are joined in their order, so that its bytes stay the same.

Revision ID: 0048_files_of_reports
Revises: 0047_files_of_every_month
"""

import sqlalchemy as sa
from alembic import op

revision = "0048_files_of_reports"
down_revision = "0047_files_of_every_month"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Join the parts, one report at a time in the server's memory, and drop their table."""
    op.add_column("reconciliations", sa.Column("content", sa.LargeBinary))
    op.execute("ALTER TABLE reconciliations ALTER COLUMN content SET STORAGE EXTERNAL")
    op.execute(
        "UPDATE reconciliations SET content = (SELECT string_agg(content, ''::bytea ORDER BY number)"
        " FROM reconciliation_parts WHERE reconciliation_id = reconciliations.id)"
    )
    op.drop_table("reconciliation_parts")


def downgrade() -> None:
    """Each file is one part."""
    op.create_table(
        "reconciliation_parts",
        sa.Column("reconciliation_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("reconciliation_id", "number", name="pk_reconciliation_parts"),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"],
            ["reconciliations.id"],
            name="fk_reconciliation_parts_reconciliation_id_reconciliations",
            ondelete="CASCADE",
        ),
    )
    op.execute("ALTER TABLE reconciliation_parts ALTER COLUMN content SET STORAGE EXTERNAL")
    op.execute(
        "INSERT INTO reconciliation_parts SELECT id, 0, content FROM reconciliations WHERE content IS NOT NULL"
    )
    op.drop_column("reconciliations", "content")
