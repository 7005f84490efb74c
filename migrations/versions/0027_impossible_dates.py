"""Findings may be of dates that cannot be. The CHECKs on dates themselves come with the end of every upgrade.

They are declared for every column that holds days or moments, and added where a table lacks its own; a book
that holds a bad date already is upgraded all the same (`backoffice/base/out_of_calendar.py`).

Revision ID: 0027_impossible_dates
Revises: 0026_definitions
"""

from alembic import op

revision = "0027_impossible_dates"
down_revision = "0026_definitions"
branch_labels = None
depends_on = None

KINDS = "'different', 'missing', 'surplus', 'changed', 'added', 'removed'"


def upgrade() -> None:
    """Let findings be of dates."""
    _allow(f"{KINDS}, 'impossible'")


def downgrade() -> None:
    """Forget findings of dates, and take away the CHECKs, of which an older version knows nothing."""
    op.execute("DELETE FROM drift_findings WHERE kind = 'impossible'")
    _allow(KINDS)
    op.execute(
        """
        DO $$
        DECLARE one record;
        BEGIN
            FOR one IN SELECT conrelid::regclass AS "table", conname AS name FROM pg_constraint
                       WHERE contype = 'c' AND conname LIKE '%\\_in\\_calendar'
                         AND connamespace = 'public'::regnamespace
            LOOP
                EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one."table", one.name);
            END LOOP;
        END $$
        """
    )


def _allow(kinds: str) -> None:
    name = op.f("ck_drift_findings_kind")
    op.drop_constraint(name, "drift_findings", type_="check")
    op.create_check_constraint(name, "drift_findings", f"kind IN ({kinds})")
