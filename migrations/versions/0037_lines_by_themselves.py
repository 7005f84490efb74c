"""Files whose lines are each carried out by themselves, in a run; and those that are repeated every month.

Revision ID: 0037_lines_by_themselves
Revises: 0036_gas
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0037_lines_by_themselves"
down_revision = "0036_gas"
branch_labels = None
depends_on = None

ACTOR = "coalesce(nullif(current_setting('backoffice.actor', true), ''), session_user)"
STATES = "'uploaded','checked','applied'"
NEW_STATES = f"{STATES},'applying','repeating','ended'"
COLUMNS = ("sent_by", "run_id", "repeat_day", "repeat_from", "repeats_id", "period")


def upgrade() -> None:
    """Uploads know their run and their months; a table of lines."""
    op.alter_column("imports", "user_id", nullable=True)
    op.add_column(
        "imports", sa.Column("sent_by", sa.Text(), server_default=sa.text(ACTOR), nullable=False)
    )
    op.add_column("imports", sa.Column("run_id", sa.BigInteger()))
    op.add_column("imports", sa.Column("repeat_day", sa.Integer()))
    op.add_column("imports", sa.Column("repeat_from", sa.Date()))
    op.add_column("imports", sa.Column("repeats_id", sa.BigInteger()))
    op.add_column("imports", sa.Column("period", sa.Date()))
    op.create_foreign_key("fk_imports_run_id_runs", "imports", "runs", ["run_id"], ["id"])
    op.create_foreign_key(
        "fk_imports_repeats_id_imports", "imports", "imports", ["repeats_id"], ["id"]
    )
    op.create_unique_constraint("uq_imports_repeats_id_period", "imports", ["repeats_id", "period"])
    op.create_index(
        "ix_imports_run_id", "imports", ["run_id"],
        postgresql_where=sa.text("run_id IS NOT NULL"),
    )  # fmt: skip
    op.drop_constraint("ck_imports_state", "imports")
    op.create_check_constraint("ck_imports_state", "imports", f"state IN ({NEW_STATES})")
    op.create_check_constraint("ck_imports_repeat_day", "imports", "repeat_day BETWEEN 1 AND 31")
    op.create_check_constraint(
        "ck_imports_repeated", "imports",
        "(state IN ('repeating','ended')) = (repeat_day IS NOT NULL)",
    )  # fmt: skip
    _create_lines()


def downgrade() -> None:
    """Without them; what programs and schedules have sent is forgotten, what it charged is not."""
    op.drop_table("import_lines")
    op.execute("DELETE FROM imports WHERE user_id IS NULL")
    op.drop_constraint("ck_imports_repeated", "imports", type_="check")
    op.execute("UPDATE imports SET state = 'applied' WHERE state = 'applying'")
    op.execute("UPDATE imports SET state = 'checked' WHERE state IN ('repeating','ended')")
    op.drop_constraint("ck_imports_state", "imports", type_="check")
    op.create_check_constraint(op.f("ck_imports_state"), "imports", f"state IN ({STATES})")
    for name in COLUMNS:
        op.drop_column("imports", name)
    op.alter_column("imports", "user_id", nullable=False)


def _create_lines() -> None:
    op.create_table(
        "import_lines",
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("values", JSONB(), nullable=False),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.Column("record_id", sa.BigInteger()),
        sa.Column("balance_after", sa.Numeric(15, 2)),
        sa.Column("column", sa.Text(), server_default="", nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("params", JSONB(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("import_id", "n", name="pk_import_lines"),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name="fk_import_lines_import_id_imports",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint(
            "outcome IN ('', 'done', 'already', 'refused')", name="ck_import_lines_outcome"
        ),
        sa.CheckConstraint("balance_after <> 'NaN'", name="ck_import_lines_no_nan"),
    )  # fmt: skip
