"""The audit trail: append-only, written by triggers that `db upgrade` generates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003_audit"
down_revision = "0002_people"
branch_labels = None
depends_on = None


class Xid8(sa.types.UserDefinedType):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_):
        """The type's name in DDL."""
        return "xid8"


ACTOR = "coalesce(nullif(current_setting('backoffice.actor', true), ''), session_user)"

REFUSE_CHANGES = """
CREATE FUNCTION audit_events_is_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'The audit trail is append-only: % is refused.', TG_OP
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'A mistake is mended by a further change, which leaves its own event.';
END $$;
CREATE TRIGGER audit_events_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
FOR EACH STATEMENT EXECUTE FUNCTION audit_events_is_append_only();
"""


def upgrade() -> None:
    """Create the trail, and refuse every change of what stands in it, whoever tries."""
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("xid", Xid8, server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            server_default=sa.text("statement_timestamp()"),
            nullable=False,
        ),
        sa.Column("actor", sa.Text(), server_default=sa.text(ACTOR), nullable=False),
        sa.Column("db_user", sa.Text(), server_default=sa.text("session_user"), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Text()),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("before", JSONB()),
        sa.Column("after", JSONB()),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    op.create_index(
        "ix_audit_events_table_name_row_id_id", "audit_events", ["table_name", "row_id", "id"]
    )
    op.create_index("ix_audit_events_xid_id", "audit_events", ["xid", "id"])
    op.execute(REFUSE_CHANGES)


def downgrade() -> None:
    """Drop the trail."""
    op.drop_table("audit_events")
    op.execute("DROP FUNCTION audit_events_is_append_only()")
