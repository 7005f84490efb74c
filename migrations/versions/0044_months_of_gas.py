"""A balance of gas is of a month: what another program stores of none is refused.

Revision ID: 0044_months_of_gas
Revises: 0043_accepted_months
"""

from alembic import op

revision = "0044_months_of_gas"
down_revision = "0043_accepted_months"
branch_labels = None
depends_on = None

TABLE = "monthly_customer_balances"
IS_MONTH = "year_month ~ '-(0[1-9]|1[0-2])$'"


def upgrade() -> None:
    """Derived rows of no month go first: nothing is expected in them."""
    op.execute(f"DELETE FROM {TABLE} WHERE NOT ({IS_MONTH})")
    op.create_check_constraint(op.f(f"ck_{TABLE}_year_month"), TABLE, IS_MONTH)


def downgrade() -> None:
    """Any text is taken again."""
    op.drop_constraint(op.f(f"ck_{TABLE}_year_month"), TABLE)
