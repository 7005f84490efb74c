"""People decide about facts that differ from the audit trail; an event may state what a row holds.

Revision ID: 0024_fact_decisions
Revises: 0023_proof
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0024_fact_decisions"
down_revision = "0023_proof"
branch_labels = None
depends_on = None

# Whoever may write a table may let the trail state what one of its rows holds, and nothing else: the
# values are read from the row here. `before` is what the trail has said, of the same columns.
ACCEPT = """
CREATE FUNCTION audit_accept(of_table text, of_row bigint, columns text[], before jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  place regclass := format('public.%I', of_table)::regclass;
  present jsonb;
  event bigint;
BEGIN
  IF NOT has_table_privilege(session_user, place, 'UPDATE') THEN
    RAISE EXCEPTION 'Only whoever may change % may state what it holds.', of_table
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = place
                 AND tgname = format('backoffice_audit_%s_insert', of_table)) THEN
    RAISE EXCEPTION 'The audit trail does not tell of %.', of_table USING ERRCODE = 'undefined_object';
  END IF;
  EXECUTE format(
    'SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(r)) WHERE key = ANY ($2))'
    ' FROM %s r WHERE r.id = $1', place
  ) INTO present USING of_row, columns;
  INSERT INTO public.audit_events (table_name, row_id, action, before, after)
  VALUES (
    of_table, of_row::text,
    CASE WHEN present IS NULL THEN 'DELETE' WHEN before IS NULL THEN 'INSERT' ELSE 'UPDATE' END,
    before, present
  ) RETURNING id INTO event;
  RETURN event;
END $$
"""

APPEND_ONLY = """
CREATE TRIGGER fact_decisions_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON fact_decisions
FOR EACH STATEMENT EXECUTE FUNCTION audit_events_is_append_only()
"""


def upgrade() -> None:
    """Create the record of decisions, and the function by which a fact is accepted."""
    op.create_table(
        "fact_decisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("finding_id", sa.BigInteger(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("stored", JSONB()),
        sa.Column("trail", JSONB()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column(
            "decided_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("id", name="pk_fact_decisions"),
        sa.CheckConstraint(
            "decision IN ('accepted', 'restored')", name=op.f("ck_fact_decisions_decision")
        ),
        sa.CheckConstraint(
            "kind IN ('changed', 'added', 'removed')", name=op.f("ck_fact_decisions_kind")
        ),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_fact_decisions_reason")),
    )
    op.create_index(
        "ix_fact_decisions_table_name_row_id", "fact_decisions", ["table_name", "row_id"]
    )
    op.create_index("ix_fact_decisions_finding_id", "fact_decisions", ["finding_id"])
    op.execute(APPEND_ONLY)
    op.execute(ACCEPT)


def downgrade() -> None:
    """Drop them; the events that were stated stay."""
    op.execute("DROP FUNCTION audit_accept(text, bigint, text[], jsonb)")
    op.drop_table("fact_decisions")
