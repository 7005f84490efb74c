"""Products, their prices from a date, the product of an order line, and applied price changes."""

import sqlalchemy as sa
from alembic import op

revision = "0008_products"
down_revision = "0007_targets"
branch_labels = None
depends_on = None

KIND = "kind IN ('package','addition','promo','reduction')"
OUTCOME = "outcome IN ('applied','changed','closed','impossible','gone')"
ACTOR = "coalesce(nullif(current_setting('backoffice.actor', true), ''), session_user)"


class Xid8(sa.types.UserDefinedType):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_):
        """The type's name in DDL."""
        return "xid8"


def upgrade() -> None:
    """Create the price list, let lines name a product, and keep a record of price changes."""
    _create_products()
    op.add_column("order_lines", sa.Column("product_id", sa.BigInteger()))
    op.create_foreign_key(
        "fk_order_lines_product_id_products", "order_lines", "products", ["product_id"], ["id"]
    )
    op.create_index(
        "ix_order_lines_product_id",
        "order_lines",
        ["product_id"],
        postgresql_where=sa.text("product_id IS NOT NULL"),
    )
    _create_price_changes()


def downgrade() -> None:
    """Take it back."""
    op.drop_table("price_change_orders")
    op.drop_table("price_changes")
    op.drop_column("order_lines", "product_id")
    op.drop_table("product_prices")
    op.drop_table("products")


def _created_at() -> sa.Column:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
    )


def _no_nan(table: str, *columns: str) -> sa.CheckConstraint:
    condition = " AND ".join(f"{c} <> 'NaN'" for c in columns)
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_no_nan"))


def _create_products() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="package", nullable=False),
        sa.Column("unit", sa.Text(), server_default="", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
        sa.UniqueConstraint("code", name="uq_products_code"),
        sa.CheckConstraint(KIND, name=op.f("ck_products_kind")),
    )
    op.create_table(
        "product_prices",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("unit_price", sa.Numeric(15, 4), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_product_prices"),
        sa.UniqueConstraint(
            "product_id", "effective_from", name="uq_product_prices_product_id_effective_from"
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name="fk_product_prices_product_id_products"
        ),
        _no_nan("product_prices", "unit_price"),
    )


def _create_price_changes() -> None:
    op.create_table(
        "price_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("unit_price", sa.Numeric(15, 4), nullable=False),
        sa.Column("previous_price", sa.Numeric(15, 4)),
        sa.Column("xid", Xid8, server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("actor", sa.Text(), server_default=sa.text(ACTOR), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_price_changes"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name="fk_price_changes_product_id_products"
        ),
        _no_nan("price_changes", "unit_price", "previous_price"),
    )
    op.create_index("ix_price_changes_product_id", "price_changes", ["product_id"])
    op.create_table(
        "price_change_orders",
        sa.Column("price_change_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("before", sa.Numeric(15, 2)),
        sa.Column("after", sa.Numeric(15, 2)),
        sa.PrimaryKeyConstraint("price_change_id", "order_id", name="pk_price_change_orders"),
        sa.ForeignKeyConstraint(
            ["price_change_id"],
            ["price_changes.id"],
            name="fk_price_change_orders_price_change_id_price_changes",
        ),
        _no_nan("price_change_orders", "before", "after"),
        sa.CheckConstraint(OUTCOME, name=op.f("ck_price_change_orders_outcome")),
    )
    op.create_index("ix_price_change_orders_order_id", "price_change_orders", ["order_id"])
