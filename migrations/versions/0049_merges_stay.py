"""A merge of customers is no longer undone, and pages no longer suggest duplicates.

The history keeps every merge, also one that was undone. What a merge moved was stored only for undoing.
Requests for an undo that wait for approval are cancelled.

Revision ID: 0049_merges_stay
Revises: 0048_files_of_reports
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0049_merges_stay"
down_revision = "0048_files_of_reports"
branch_labels = None
depends_on = None

KEYS = ("name_key", "phone_key")

NAME_KEY = (
    "nullif(regexp_replace(regexp_replace(regexp_replace(regexp_replace("
    r"lower(normalize(name, NFKD)), '[\u0300-\u036f.''’`]', '', 'g'), "
    r"'[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+', ' ', 'g'), "
    r"'\m(pt|cv|ud|pd|tbk|persero|ltd|limited|llc|llp|inc|incorporated|corp|corporation|co|company|plc|pty|pte|"
    r"gmbh|mbh|ag|kg|ohg|ug|ek|sa|sarl|sas|srl|spa|snc|bv|nv|oy|oyj|ab|as|aps|sdn|bhd|kk)\M', '', 'g'), "
    r"'\s', '', 'g'), '')"
)
PHONE_KEY = (
    "CASE WHEN length(regexp_replace(phone, '[^0-9]', '', 'g')) >= 7 "
    "THEN right(regexp_replace(phone, '[^0-9]', '', 'g'), 9) END"
)


def upgrade() -> None:
    """Drop the keys, and what merges moved."""
    op.execute(
        "DELETE FROM run_chunks USING runs WHERE run_chunks.run_id = runs.id "
        "AND runs.kind = 'customers.undo-merge' AND runs.finished_at IS NULL"
    )
    op.execute(
        "UPDATE runs SET status = 'cancelled', finished_at = now() "
        "WHERE kind = 'customers.undo-merge' AND finished_at IS NULL"
    )
    for name in KEYS:  # with their indexes
        op.drop_column("customers", name)
    op.drop_column("customer_merges", "moved")


def downgrade() -> None:
    """The keys are computed again; what earlier merges moved is lost."""
    op.add_column("customer_merges", sa.Column("moved", JSONB, nullable=False, server_default="{}"))
    op.alter_column("customer_merges", "moved", server_default=None)
    for name, key in zip(KEYS, (NAME_KEY, PHONE_KEY), strict=True):
        op.add_column("customers", sa.Column(name, sa.Text, sa.Computed(key, persisted=True)))
        op.create_index(f"ix_customers_{name}", "customers", [name])
