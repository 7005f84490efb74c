"""The last number of a series is at least 0, and so low that further ones follow.

Revision ID: 0060_series_forward
Revises: 0059_former_names
"""

from alembic import op

revision = "0060_series_forward"
down_revision = "0059_former_names"
branch_labels = None
depends_on = None

NAME = "ck_number_series_last"
MOST = 10**12


def upgrade() -> None:
    """Add the constraint; the trigger comes with the other objects at the end of the upgrade."""
    op.execute(
        f"UPDATE number_series SET last = least(greatest(last, 0), {MOST})"
        f" WHERE last NOT BETWEEN 0 AND {MOST}"
    )
    op.create_check_constraint(op.f(NAME), "number_series", f"last BETWEEN 0 AND {MOST}")


def downgrade() -> None:
    """Drop it."""
    op.drop_constraint(op.f(NAME), "number_series")
