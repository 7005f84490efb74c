"""The core's own tables: figure notes, corrections, runs, fingerprints of generated objects.

Revision ID: 0001_core
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001_core"
down_revision = None
branch_labels = None
depends_on = None


class Xid8(sa.types.UserDefinedType):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_):
        """The type's name in DDL."""
        return "xid8"


def identity(table: str) -> tuple[sa.Column, sa.PrimaryKeyConstraint]:
    """A surrogate key that PostgreSQL assigns."""
    return (
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def moment(name: str, default: str = "now()") -> sa.Column:
    """A moment with its zone, the transaction's by default."""
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=False, server_default=sa.text(default)
    )


def upgrade() -> None:
    """Create the core's tables."""
    op.create_table(
        "figure_notes",
        *identity("figure_notes"),
        sa.Column("xid", Xid8, nullable=False, server_default=sa.text("pg_current_xact_id()")),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("owner", sa.BigInteger),
        sa.Column("source", sa.Text),
        sa.Column("source_id", sa.BigInteger),
        sa.Column("delta", sa.ARRAY(sa.Numeric)),
        sa.Column("db_user", sa.Text, nullable=False, server_default=sa.text("session_user")),
        moment("noted_at", "clock_timestamp()"),
    )
    op.create_index("ix_figure_notes_xid", "figure_notes", ["xid"])
    op.create_table(
        "corrections",
        *identity("corrections"),
        sa.Column("figure", sa.Text, nullable=False),
        sa.Column("owner", sa.BigInteger, nullable=False),
        sa.Column("key", JSONB, nullable=False),
        sa.Column("before", JSONB),
        sa.Column("after", JSONB),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("actor", sa.Text, nullable=False, server_default=""),
        sa.Column("db_user", sa.Text, nullable=False, server_default=""),
        sa.Column("run_id", sa.BigInteger),
        moment("at"),
    )
    op.create_index("ix_corrections_figure_owner_id", "corrections", ["figure", "owner", "id"])
    op.create_index("ix_corrections_run_id", "corrections", ["run_id"])
    op.create_table(
        "runs",
        *identity("runs"),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("scope", JSONB, nullable=False),
        sa.Column("dry_run", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False, server_default=""),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("position", JSONB, nullable=False, server_default="{}"),
        sa.Column("checked", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("changed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("failed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        moment("created_at"),
        moment("updated_at"),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "schema_fingerprints",
        sa.Column("group", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("drop_sql", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("group", "name", name="pk_schema_fingerprints"),
    )


def downgrade() -> None:
    """Drop the core's tables."""
    for table in ("schema_fingerprints", "runs", "corrections", "figure_notes"):
        op.drop_table(table)
