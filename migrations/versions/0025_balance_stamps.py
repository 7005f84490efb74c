"""A customer and a meter say when what they owe has last changed, whoever wrote it.

A trigger of the row itself, because figures are written by saves, by drains, by heals and by other programs.
And no amount of a run's items is NaN.

Revision ID: 0025_balance_stamps
Revises: 0024_fact_decisions
"""

import sqlalchemy as sa
from alembic import op

revision = "0025_balance_stamps"
down_revision = "0024_fact_decisions"
branch_labels = None
depends_on = None

TABLES = ("customers", "meters")
NO_NAN = "ck_run_items_amounts_no_nan"

FUNCTION = """
CREATE FUNCTION stamp_balance() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.balance_changed_at := pg_catalog.now();
  RETURN NEW;
END $$
"""

TRIGGER = """
CREATE TRIGGER {table}_stamp_balance BEFORE UPDATE ON {table} FOR EACH ROW
WHEN (OLD.balance IS DISTINCT FROM NEW.balance OR OLD.overpayment IS DISTINCT FROM NEW.overpayment)
EXECUTE FUNCTION stamp_balance()
"""


def upgrade() -> None:
    """Stamp from now on; when what stands there was written, nobody knows."""
    op.execute(FUNCTION)
    for table in TABLES:
        op.add_column(table, sa.Column("balance_changed_at", sa.DateTime(timezone=True)))
        op.execute(TRIGGER.format(table=table))
    op.create_check_constraint(
        op.f(NO_NAN),
        "run_items",
        "amount_before <> 'NaN' AND amount_after <> 'NaN' AND concerns <> 'NaN'",
    )


def downgrade() -> None:
    """Stamp no more."""
    op.drop_constraint(op.f(NO_NAN), "run_items")
    for table in TABLES:
        op.execute(f"DROP TRIGGER {table}_stamp_balance ON {table}")
        op.drop_column(table, "balance_changed_at")
    op.execute("DROP FUNCTION stamp_balance()")
