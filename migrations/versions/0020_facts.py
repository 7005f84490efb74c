"""Findings may be of facts that differ from the audit trail; whom a fact belonged to is found by an index.

Revision ID: 0020_facts
Revises: 0019_past_days
"""

import sqlalchemy as sa
from alembic import op

revision = "0020_facts"
down_revision = "0019_past_days"
branch_labels = None
depends_on = None

LED = (
    ("order_lines", "order_id"),
    ("orders", "account_manager_id"),
    ("invoices", "meter_id"),
    ("payments", "invoice_id"),
    ("payments", "meter_id"),
    ("meter_adjustments", "meter_id"),
    ("meter_assignments", "customer_id"),
)
"""The columns by which rows of facts lead to the owners of figures."""


def upgrade() -> None:
    """Let findings be of facts, and find the events by which a row came to an owner."""
    _allow("'different', 'missing', 'surplus', 'changed', 'added', 'removed'")
    for table, column in LED:
        op.create_index(
            f"ix_audit_events_{table}_to_{column}",
            "audit_events",
            [sa.text(f"(after ->> '{column}')")],
            postgresql_where=sa.text(
                f"table_name = '{table}' AND after ->> '{column}' IS NOT NULL"
            ),
        )


def downgrade() -> None:
    """Forget findings of facts, which an older version does not understand."""
    for table, column in LED:
        op.drop_index(f"ix_audit_events_{table}_to_{column}", "audit_events")
    op.execute("DELETE FROM drift_findings WHERE kind IN ('changed', 'added', 'removed')")
    _allow("'different', 'missing', 'surplus'")


def _allow(kinds: str) -> None:
    name = op.f("ck_drift_findings_kind")
    op.drop_constraint(name, "drift_findings", type_="check")
    op.create_check_constraint(name, "drift_findings", f"kind IN ({kinds})")
