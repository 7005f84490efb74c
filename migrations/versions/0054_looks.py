"""Indexes by the look of codes and numbers, by which a new one that looks like an existing one is refused.

Existing ones stay as they are: `backoffice db routine` names them.

Revision ID: 0054_looks
Revises: 0053_chunks_of_bundles
"""

import sqlalchemy as sa
from alembic import op

revision = "0054_looks"
down_revision = "0053_chunks_of_bundles"
branch_labels = None
depends_on = None

NAMED = {
    "customers": "code", "products": "code", "accounts": "code", "orders": "number", "meters": "number",
    "invoices": "number", "payments": "reference", "meter_adjustments": "number", "wallets": "number",
    "journal_entries": "number",
}  # fmt: skip
UNSEEN = (
    r"\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180E\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164"
    r"\uFE00-\uFE0F\uFEFF\uFFA0"
)
LOOK = (
    f"lower(btrim(regexp_replace(regexp_replace(normalize({{}}, NFKC), '[{UNSEEN}]', '', 'g'), "
    r"'\s+', ' ', 'g')))"
)


def upgrade() -> None:
    """Add the indexes."""
    for table, column in NAMED.items():
        op.create_index(f"ix_{table}_{column}_look", table, [sa.text(LOOK.format(column))])


def downgrade() -> None:
    """Drop them."""
    for table, column in NAMED.items():
        op.drop_index(f"ix_{table}_{column}_look", table)
