"""Work of the version before that names what is gone is cancelled: a total beneath in the same chunk, and `accounts`.

A balance of an account is now corrected together with its sums (`accounts.sums`). Runs under way with such chunks are
cancelled, and the chunks go, also those that a retry would copy. Items that failed are retried under the new name.

Revision ID: 0053_chunks_of_bundles
Revises: 0052_without_dates
"""

from alembic import op

revision = "0053_chunks_of_bundles"
down_revision = "0052_without_dates"
branch_labels = None
depends_on = None

NAMES_WHAT_IS_GONE = """
    status <> 'done' AND (payload ? 'beneath' OR payload ->> 'bundle' = 'accounts' OR payload ->> 'led' = 'accounts'
                          OR payload -> 'empty' ? 'accounts')
"""


def upgrade() -> None:
    """Cancel the runs, delete the chunks, and rename the items."""
    op.execute(f"""
        UPDATE runs SET status = 'cancelled', finished_at = now()
        WHERE finished_at IS NULL AND id IN (SELECT run_id FROM run_chunks WHERE {NAMES_WHAT_IS_GONE})
    """)
    op.execute(f"DELETE FROM run_chunks WHERE {NAMES_WHAT_IS_GONE}")
    op.execute("""
        UPDATE run_items SET subject = 'accounts.sums' WHERE subject = 'accounts' AND outcome = 'failed'
    """)


def downgrade() -> None:
    """The version before plans such runs anew."""
    op.execute("""
        UPDATE run_items SET subject = 'accounts' WHERE subject = 'accounts.sums' AND outcome = 'failed'
    """)
