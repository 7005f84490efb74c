"""The API of records: tokens whose scope names a domain, and the answers to requests that come again.

Revision ID: 0031_api
Revises: 0030_totals_of_imports
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0031_api"
down_revision = "0030_totals_of_imports"
branch_labels = None
depends_on = None

SCOPE = "ck_api_tokens_scope"


def upgrade() -> None:
    """Tokens that are there keep what they open."""
    op.drop_constraint(op.f(SCOPE), "api_tokens", type_="check")
    op.create_check_constraint(op.f(SCOPE), "api_tokens", "scope ~ '^[a-z]+(:(read|write))?$'")
    op.create_table(
        "api_requests",
        sa.Column("token_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("response", sa.Text()),
        sa.Column("headers", JSONB(none_as_null=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["token_id"], ["api_tokens.id"], ondelete="CASCADE", name=op.f("fk_api_requests_token_id_api_tokens"),
        ),
        sa.PrimaryKeyConstraint("token_id", "key", name=op.f("pk_api_requests")),
    )  # fmt: skip
    op.create_index(op.f("ix_api_requests_created_at"), "api_requests", ["created_at"])


def downgrade() -> None:
    """Tokens of the newer scopes open nothing any more, so they go."""
    op.drop_table("api_requests")
    op.drop_constraint(op.f(SCOPE), "api_tokens", type_="check")
    op.execute("DELETE FROM api_tokens WHERE scope LIKE '%:%'")
    op.create_check_constraint(
        op.f(SCOPE), "api_tokens", "scope IN ('health', 'wallets', 'metrics')"
    )
