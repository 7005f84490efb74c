"""What schedulers remember.

Revision ID: 0016_schedules
Revises: 0015_reconciliations
"""

import sqlalchemy as sa
from alembic import op

revision = "0016_schedules"
down_revision = "0015_reconciliations"
branch_labels = None
depends_on = None

# Only a table's owner renews its statistics; this lets the app's role ask for that, and for no more.
RENEW_STATISTICS = """
CREATE FUNCTION renew_statistics(wanted text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('ANALYZE public.%I', wanted);
END $$
"""


def upgrade() -> None:
    """Create the tables of schedules that were seen, and of schedulers at work."""
    op.execute(RENEW_STATISTICS)
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("known_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_due_at", sa.DateTime(timezone=True)),
        sa.Column("held_by", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name="pk_schedules"),
        sa.ForeignKeyConstraint(
            ["held_by"], ["runs.id"], name="fk_schedules_held_by_runs", ondelete="SET NULL"
        ),
    )
    op.create_table(
        "schedulers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "looked_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.PrimaryKeyConstraint("name", name="pk_schedulers"),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("schedulers")
    op.drop_table("schedules")
    op.execute("DROP FUNCTION renew_statistics(text)")
