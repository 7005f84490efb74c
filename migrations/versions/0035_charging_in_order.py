"""What is left in a wallet after charges that come one after the other. From now on it is kept as declared.

Revision ID: 0035_charging_in_order
Revises: 0034_wallets
"""

from alembic import op

revision = "0035_charging_in_order"
down_revision = "0034_wallets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An aggregate over (what is in the wallet before the first, what each would take), in their order."""
    op.execute("""
        CREATE FUNCTION wallet_left_after(held numeric, balance numeric, amount numeric) RETURNS numeric
        LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
          held := coalesce(held, balance);
          RETURN CASE WHEN amount <= held THEN held - amount ELSE held END;
        END $$
    """)
    op.execute("""
        CREATE AGGREGATE wallet_left(balance numeric, amount numeric) (
          SFUNC = wallet_left_after, STYPE = numeric
        )
    """)


def downgrade() -> None:
    """Without the aggregate."""
    op.execute("DROP AGGREGATE IF EXISTS wallet_left(numeric, numeric)")
    op.execute("DROP FUNCTION IF EXISTS wallet_left_after(numeric, numeric, numeric)")
