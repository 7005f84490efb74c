"""What verification found, and when every figure was verified last.

Revision ID: 0012_drift
Revises: 0011_runs
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012_drift"
down_revision = "0011_runs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the findings and the checks."""
    op.create_table(
        "drift_findings",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("figure", sa.Text(), nullable=False),
        sa.Column("owner", sa.BigInteger(), nullable=False),
        sa.Column("key", JSONB, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("stored", JSONB),
        sa.Column("expected", JSONB),
        sa.Column("amount", sa.Numeric()),
        sa.Column("roots", JSONB, nullable=False),
        sa.Column("is_root", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        _now("first_seen_at"),
        _now("last_seen_at"),
        sa.Column("run_id", sa.BigInteger()),
        sa.Column("healed_at", sa.DateTime(timezone=True)),
        sa.Column("healed_by", sa.Text(), nullable=False, server_default=""),
        sa.Column("correction_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_drift_findings"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_drift_findings_run_id_runs", ondelete="SET NULL"
        ),
        sa.CheckConstraint(
            "kind IN ('different', 'missing', 'surplus')", name=op.f("ck_drift_findings_kind")
        ),
        sa.CheckConstraint("amount <> 'NaN'", name=op.f("ck_drift_findings_amount_no_nan")),
    )
    op.create_index(
        "ix_drift_findings_open", "drift_findings", ["figure", "key"], unique=True,
        postgresql_where=sa.text("healed_at IS NULL"),
    )  # fmt: skip
    op.create_index(
        "ix_drift_findings_amount",
        "drift_findings",
        [sa.text("abs(amount) DESC NULLS LAST"), sa.text("id DESC")],
        postgresql_where=sa.text("healed_at IS NULL"),
    )
    op.create_index("ix_drift_findings_owner", "drift_findings", ["figure", "owner"])
    op.create_index("ix_drift_findings_first_seen_at_id", "drift_findings", ["first_seen_at", "id"])
    op.create_table(
        "figure_checks",
        sa.Column("figure", sa.Text(), nullable=False),
        _now("verified_at"),
        sa.Column("owners", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("drifted", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False, server_default="0"),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("run_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("figure", name="pk_figure_checks"),
        sa.CheckConstraint("amount <> 'NaN'", name=op.f("ck_figure_checks_amount_no_nan")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_figure_checks_run_id_runs", ondelete="SET NULL"
        ),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("figure_checks")
    op.drop_table("drift_findings")


def _now(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
