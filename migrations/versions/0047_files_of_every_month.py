"""Files are no longer charged every month by themselves.

What was charged stays. Files that were charged every month are ended, and say so on their pages; the upload of a month
has the month in its name. The runs of the schedule keep their record under a kind that no longer exists; those that
had not finished are cancelled.

Revision ID: 0047_files_of_every_month
Revises: 0046_fact_marks
"""

import sqlalchemy as sa
from alembic import op

revision = "0047_files_of_every_month"
down_revision = "0046_fact_marks"
branch_labels = None
depends_on = None

TABLE = "imports"
STATE = "ck_imports_state"
NAMED_TWICE = "ck_imports_ck_imports_"
"""How the names of the earlier version's constraints begin: the convention was applied to them twice."""

COLUMNS = ("repeat_day", "repeat_from", "repeats_id", "period")


def upgrade() -> None:
    """End what is repeated, name what was done after its month, and drop the columns."""
    op.execute(f"UPDATE {TABLE} SET state = 'ended', applied_at = now() WHERE state = 'repeating'")
    op.execute(
        f"UPDATE {TABLE} SET state = 'applied', applied_at = now() WHERE state = 'applying' AND period IS NOT NULL"
    )
    op.execute(
        f"UPDATE {TABLE} SET name = name || to_char(period, ' (YYYY-MM)') WHERE period IS NOT NULL"
    )
    op.execute(
        "DELETE FROM run_chunks USING runs WHERE run_chunks.run_id = runs.id "
        "AND runs.kind = 'imports.lines' AND runs.scope ? 'due'"
    )
    op.execute(
        "UPDATE runs SET kind = 'imports.months', finished_at = coalesce(finished_at, now()), "
        "status = CASE WHEN finished_at IS NULL THEN 'cancelled' ELSE status END "
        "WHERE kind = 'imports.lines' AND scope ? 'due'"
    )
    op.execute("DELETE FROM schedules WHERE name = 'repeated-files'")
    for name in ("repeated", "state"):
        op.drop_constraint(op.f(f"{NAMED_TWICE}{name}"), TABLE)
    for name in COLUMNS:  # with their constraints
        op.drop_column(TABLE, name)
    op.create_check_constraint(
        op.f(STATE), TABLE, "state IN ('uploaded','checked','applied','applying','ended')"
    )


def downgrade() -> None:
    """The columns are empty; what was ended may stay so without a day."""
    op.add_column(TABLE, sa.Column("repeat_day", sa.Integer))
    op.add_column(TABLE, sa.Column("repeat_from", sa.Date))
    op.add_column(TABLE, sa.Column("repeats_id", sa.BigInteger, sa.ForeignKey("imports.id")))
    op.add_column(TABLE, sa.Column("period", sa.Date))
    op.create_unique_constraint("uq_imports_repeats_id_period", TABLE, ["repeats_id", "period"])
    op.execute("UPDATE runs SET kind = 'imports.lines' WHERE kind = 'imports.months'")
    op.execute(f"UPDATE {TABLE} SET repeat_day = 1 WHERE state = 'ended'")
    op.drop_constraint(op.f(STATE), TABLE)
    for name, condition in (
        ("state", "state IN ('uploaded','checked','applied','applying','repeating','ended')"),
        ("repeat_day", "repeat_day BETWEEN 1 AND 31"),
        ("repeated", "(state IN ('repeating','ended')) = (repeat_day IS NOT NULL)"),
    ):
        op.create_check_constraint(op.f(f"{NAMED_TWICE}{name}"), TABLE, condition)
