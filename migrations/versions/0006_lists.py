"""Saved views, and the indexes that lists and exports read by."""

import sqlalchemy as sa
from alembic import op

revision = "0006_lists"
down_revision = "0005_orders"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create saved views; index orders as their lists are sorted and narrowed."""
    op.create_table(
        "saved_views",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), server_default="", nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default="false", nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_saved_views"),
        sa.UniqueConstraint("user_id", "list", "name", name="uq_saved_views_user_id_list_name"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_saved_views_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_saved_views_default",
        "saved_views",
        ["user_id", "list"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )
    op.create_index(
        "ix_orders_account_manager_id_order_date_id",
        "orders",
        ["account_manager_id", "order_date", "id"],
    )
    # As the list puts them: rows without a closing date last, whatever the direction.
    op.create_index(
        "ix_orders_closing_date_id",
        "orders",
        [sa.text("closing_date DESC NULLS LAST"), sa.text("id DESC")],
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_index("ix_orders_closing_date_id", "orders")
    op.drop_index("ix_orders_account_manager_id_order_date_id", "orders")
    op.drop_table("saved_views")
