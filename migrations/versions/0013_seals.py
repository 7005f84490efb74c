"""The audit trail is sealed by a chain of digests; its screen finds a page by an index.

Revision ID: 0013_seals
Revises: 0012_drift
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0013_seals"
down_revision = "0012_drift"
branch_labels = None
depends_on = None

ACTOR = "coalesce(nullif(current_setting('backoffice.actor', true), ''), session_user)"

APPEND_ONLY = """
CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION audit_events_is_append_only()
"""


def upgrade() -> None:
    """Create the chain and the record of its checks, and refuse every change of what stands in them."""
    op.create_table(
        "audit_seals",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("system", sa.BigInteger(), nullable=False),
        sa.Column("floor_id", sa.BigInteger(), nullable=False),
        sa.Column("last_xid", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("highest_id", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("ids", ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_seals"),
    )
    op.create_table(
        "audit_checks",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("actor", sa.Text(), nullable=False, server_default=sa.text(ACTOR)),
        sa.Column("seal", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("bad", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("first_bad", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_audit_checks"),
        sa.CheckConstraint("kind IN ('verified', 'anchored')", name=op.f("ck_audit_checks_kind")),
    )
    op.create_index("ix_audit_checks_kind_id", "audit_checks", ["kind", "id"])
    for table in ("audit_seals", "audit_checks"):
        op.execute(APPEND_ONLY.format(table=table))
    op.create_index("ix_audit_events_at_id", "audit_events", ["at", "id"])
    op.create_index("ix_audit_events_actor_at_id", "audit_events", ["actor", "at", "id"])
    op.create_index("ix_audit_events_table_name_at_id", "audit_events", ["table_name", "at", "id"])
    op.create_index(
        "ix_audit_events_rare_action_at_id", "audit_events", ["action", "at", "id"],
        postgresql_where=sa.text("action IN ('DELETE', 'TRUNCATE')"),
    )  # fmt: skip
    for side in ("before", "after"):  # how often values hold a text, so that a search knows its way
        op.execute(
            f"CREATE STATISTICS audit_events_{side} ON (CAST({side} AS text)) FROM audit_events"
        )


def downgrade() -> None:
    """Drop them; the trail itself stays."""
    for side in ("before", "after"):
        op.execute(f"DROP STATISTICS audit_events_{side}")
    for name in ("rare_action_at_id", "table_name_at_id", "actor_at_id", "at_id"):
        op.drop_index(f"ix_audit_events_{name}", "audit_events")
    op.drop_table("audit_checks")
    op.drop_table("audit_seals")
