"""Orders and their lines; whoever writes a line makes its kind an itemised one of the order."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0005_orders"
down_revision = "0004_customers"
branch_labels = None
depends_on = None

KINDS = "'package','addition','promo','reduction'"

# An itemised kind, or one with lines, is a figure, and only the form un-itemises. SECURITY DEFINER,
# so that a role that may write lines but not orders does not fail. The orders are locked in id
# order, so that two imports at once do not wait for each other in a circle; orders that already
# name the kind are neither locked nor written. Each order is looked up by its key (LATERAL): the
# planner would otherwise read every order whenever a line is written.
ITEMISE = f"""
CREATE FUNCTION order_lines_itemise() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM (
      SELECT order_id, array_agg(DISTINCT kind) AS kinds
      FROM new_rows GROUP BY order_id ORDER BY order_id
    ) lines, LATERAL (
      SELECT FROM public.orders o
      WHERE o.id = lines.order_id AND NOT lines.kinds <@ o.itemised FOR NO KEY UPDATE
    ) locked;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  UPDATE public.orders o
    SET itemised = ARRAY(
      SELECT k FROM unnest(ARRAY[{KINDS}]) WITH ORDINALITY AS known(k, place)
      WHERE k = ANY (o.itemised || lines.kinds) ORDER BY place
    )
    FROM (SELECT order_id, array_agg(DISTINCT kind) AS kinds FROM new_rows GROUP BY order_id) lines
    WHERE o.id = lines.order_id AND NOT lines.kinds <@ o.itemised;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION order_lines_itemise() FROM PUBLIC;
CREATE TRIGGER order_lines_itemise_on_insert AFTER INSERT ON order_lines
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION order_lines_itemise();
CREATE TRIGGER order_lines_itemise_on_update AFTER UPDATE ON order_lines
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION order_lines_itemise();
"""

# The lines that an order has lost (deleted, or moved to another) are found in the trail by this.
LOST_LINES = """
CREATE INDEX ix_audit_events_order_lines_order_id ON audit_events ((before ->> 'order_id'))
WHERE table_name = 'order_lines' AND before ->> 'order_id' IS NOT NULL
"""


def upgrade() -> None:
    """Create orders and their lines."""
    _create_orders()
    _create_order_lines()
    op.execute(ITEMISE)
    op.execute(LOST_LINES)


def downgrade() -> None:
    """Drop orders and their lines."""
    op.execute("DROP INDEX ix_audit_events_order_lines_order_id")
    op.drop_table("order_lines")
    op.execute("DROP FUNCTION order_lines_itemise()")
    op.drop_table("orders")


def _money_columns(*names: str) -> Iterator[sa.Column]:
    for name in names:
        yield sa.Column(name, sa.Numeric(15, 2), server_default="0", nullable=False)


def _moments(*names: str) -> Iterator[sa.Column]:
    for name in names:
        yield sa.Column(
            name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        )


def _no_nan(table: str, *columns: str) -> sa.CheckConstraint:
    condition = " AND ".join(f"{c} <> 'NaN'" for c in columns)
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_no_nan"))


def _create_orders() -> None:
    amounts = ("total_price", "additions", "promo", "reductions", "grand_total")
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("account_manager_id", sa.BigInteger(), nullable=False),
        sa.Column("order_date", sa.Date(), nullable=False),
        sa.Column("closing_date", sa.Date()),
        sa.Column("itemised", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        *_money_columns(*amounts),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        *_moments("created_at", "updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.UniqueConstraint("number", name="uq_orders_number"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name="fk_orders_customer_id_customers"
        ),
        sa.ForeignKeyConstraint(
            ["account_manager_id"], ["users.id"], name="fk_orders_account_manager_id_users"
        ),
        _no_nan("orders", *amounts),
        sa.CheckConstraint(f"itemised <@ ARRAY[{KINDS}]", name=op.f("ck_orders_itemised_kinds")),
    )
    op.create_index(
        "ix_orders_account_manager_id_closing_date_grand_total",
        "orders",
        ["account_manager_id", "closing_date", "grand_total"],
    )
    op.create_index("ix_orders_grand_total", "orders", ["grand_total"])
    op.create_index("ix_orders_customer_id", "orders", ["customer_id"])
    op.create_index("ix_orders_order_date_id", "orders", ["order_date", "id"])


def _create_order_lines() -> None:
    op.create_table(
        "order_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("quantity", sa.Numeric(15, 3), nullable=False),
        sa.Column("unit_price", sa.Numeric(15, 4), nullable=False),
        *_money_columns("amount"),
        sa.PrimaryKeyConstraint("id", name="pk_order_lines"),
        sa.ForeignKeyConstraint(
            ["order_id"],
            ["orders.id"],
            name="fk_order_lines_order_id_orders",
            ondelete="CASCADE",
        ),
        _no_nan("order_lines", "quantity", "unit_price", "amount"),
        sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f("ck_order_lines_kind")),
    )
    op.create_index("ix_order_lines_order_id", "order_lines", ["order_id"])
