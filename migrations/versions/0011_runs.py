"""Runs that workers carry: chunks, items, approval, schedules.

Revision ID: 0011_runs
Revises: 0010_merges
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011_runs"
down_revision = "0010_merges"
branch_labels = None
depends_on = None

STATUSES = (
    "status IN ('awaiting approval', 'queued', 'running', 'done', 'finished with failures', "
    "'failed', 'cancelled')"
)
FINISHED = "(finished_at IS NULL) = (status IN ('awaiting approval', 'queued', 'running'))"
COUNTERS = ("unchanged", "skipped")


def upgrade() -> None:
    """Extend the runs, and give them chunks and items. What was interrupted has failed."""
    op.execute(
        "UPDATE runs SET status = 'failed', finished_at = updated_at WHERE finished_at IS NULL"
    )
    _extend_runs()
    _create_chunks()
    _create_items()


def downgrade() -> None:
    """Take it back."""
    op.drop_table("run_items")
    op.drop_table("run_chunks")
    for name in ("ck_runs_status", "ck_runs_finished", "uq_runs_schedule_due_at"):
        op.drop_constraint(op.f(name), "runs")
    op.drop_index("ix_runs_live", "runs")
    op.drop_index("ix_runs_created_at_id", "runs")
    for column in (
        "scope_key", "is_paced", "is_here", "follows", "approved_by", "approved_at", "cancelled_by", "schedule",
        "due_at", "deliveries", "delivered_at", "total", *COUNTERS, "result", "started_at",
    ):  # fmt: skip
        op.drop_column("runs", column)
    op.add_column("runs", sa.Column("position", JSONB, nullable=False, server_default="{}"))


def _extend_runs() -> None:
    op.drop_column("runs", "position")
    op.add_column("runs", sa.Column("scope_key", sa.Text(), nullable=False, server_default=""))
    op.alter_column("runs", "scope_key", server_default=None)
    op.alter_column("runs", "status", server_default="queued")
    for column in (
        sa.Column("is_paced", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("is_here", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("follows", sa.BigInteger()),
        _text("approved_by"),
        _moment("approved_at"),
        _text("cancelled_by"),
        sa.Column("schedule", sa.Text()),
        _moment("due_at"),
        sa.Column("deliveries", sa.Integer(), nullable=False, server_default="0"),
        _moment("delivered_at"),
        sa.Column("total", sa.BigInteger()),
        *(_count(name) for name in COUNTERS),
        sa.Column("result", JSONB, nullable=False, server_default="{}"),
        _moment("started_at"),
    ):
        op.add_column("runs", column)
    op.create_foreign_key(op.f("fk_runs_follows_runs"), "runs", "runs", ["follows"], ["id"])
    op.create_check_constraint(op.f("ck_runs_status"), "runs", STATUSES)
    op.create_check_constraint(op.f("ck_runs_finished"), "runs", FINISHED)
    op.create_unique_constraint(op.f("uq_runs_schedule_due_at"), "runs", ["schedule", "due_at"])
    op.create_index(
        "ix_runs_live", "runs", ["kind", "scope_key"], unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )  # fmt: skip
    op.create_index("ix_runs_created_at_id", "runs", ["created_at", "id"])
    op.create_index(
        "ix_runs_follows", "runs", ["follows"], postgresql_where=sa.text("follows IS NOT NULL")
    )


def _create_chunks() -> None:
    op.create_table(
        "run_chunks",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("payload", JSONB, nullable=False),
        _count("size"),
        sa.Column("status", sa.Text(), nullable=False, server_default="open"),
        sa.Column("fence", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        _text("worker"),
        _moment("lease_until"),
        *(_count(name) for name in ("checked", "changed", "unchanged", "skipped", "failed")),
        _text("error"),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_run_chunks"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_run_chunks_run_id_runs", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "status IN ('open', 'done', 'failed')", name=op.f("ck_run_chunks_status")
        ),
    )


def _create_items() -> None:
    op.create_table(
        "run_items",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("owner", sa.BigInteger()),
        sa.Column("key", JSONB, nullable=False, server_default="{}"),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("before", JSONB),
        sa.Column("after", JSONB),
        sa.Column("amount", sa.Numeric()),
        _text("error"),
        sa.Column("details", JSONB, nullable=False, server_default="{}"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_run_items"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_run_items_run_id_runs", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "outcome IN ('found', 'applied', 'unchanged', 'skipped', 'failed')",
            name=op.f("ck_run_items_outcome"),
        ),
        sa.CheckConstraint("amount <> 'NaN'", name=op.f("ck_run_items_amount_no_nan")),
    )
    op.create_index("ix_run_items_run_id_owner_id", "run_items", ["run_id", "owner", "id"])


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def _moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True))


def _count(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
