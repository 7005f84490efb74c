"""Files that were uploaded, and what became of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009_imports"
down_revision = "0008_products"
branch_labels = None
depends_on = None

COUNTS = ("checks", "read", "created", "updated", "removed", "unchanged", "bad_lines")
TABLES = ("import_layouts", "import_outcomes", "import_problems", "import_contents", "imports")


def upgrade() -> None:
    """Create the uploads, and beside each its bytes, its problems and its outcome."""
    _create_imports()
    _create_parts()
    op.create_table(
        "import_layouts",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        _text("kind"),
        _text("header"),
        sa.Column("layout", JSONB(), nullable=False),
        _moment("used_at"),
        sa.PrimaryKeyConstraint("user_id", "kind", "header", name="pk_import_layouts"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_import_layouts_user_id_users", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Drop them all."""
    for table in TABLES:
        op.drop_table(table)


def _text(name: str) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=False)


def _moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)


def _create_imports() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        _text("kind"),
        _text("name"),
        sa.Column("files", JSONB(), nullable=False),
        _text("digest"),
        sa.Column("state", sa.Text(), server_default="uploaded", nullable=False),
        sa.Column("layout", JSONB(), server_default="{}", nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("applied_by_id", sa.BigInteger()),
        _moment("created_at"),
        sa.Column("checked_at", sa.DateTime(timezone=True)),
        sa.Column("applied_at", sa.DateTime(timezone=True)),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in COUNTS),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_imports_user_id_users"),
        sa.ForeignKeyConstraint(
            ["applied_by_id"], ["users.id"], name="fk_imports_applied_by_id_users"
        ),
        sa.CheckConstraint(
            "state IN ('uploaded','checked','applied')", name=op.f("ck_imports_state")
        ),
    )
    op.create_index("ix_imports_created_at_id", "imports", ["created_at", "id"])
    op.create_index("ix_imports_digest", "imports", ["digest"])


def _create_parts() -> None:
    _create_part(
        "import_contents",
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        key="place",
    )
    _create_part(
        "import_problems",
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        _text("column"),
        _text("message"),
        sa.Column("params", JSONB(), nullable=False),
        key="n",
    )
    _create_part(
        "import_outcomes",
        sa.Column("sample", JSONB(), nullable=False),
        sa.Column("totals", JSONB(), nullable=False),
        _text("fingerprint"),
        sa.Column("must_be_whole", sa.Boolean(), nullable=False),
        sa.Column("went_through", sa.Boolean(), nullable=False),
    )


def _create_part(table: str, *columns: sa.Column, key: str = "") -> None:
    """A table whose rows belong to an upload and go with it."""
    op.create_table(
        table,
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("import_id", *([key] if key else []), name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["import_id"], ["imports.id"], name=f"fk_{table}_import_id_imports", ondelete="CASCADE"
        ),
    )
