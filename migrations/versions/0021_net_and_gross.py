"""Differences have a sign and tie out: what a run's item comes to before and after, net and gross.

Until now the amount of an item, or finding, of several columns was the sum of its differences without signs, and an
item that changes no amount had that of its document. Amounts are told from the texts: two decimals.

Revision ID: 0021_net_and_gross
Revises: 0020_facts
"""

import sqlalchemy as sa
from alembic import op

revision = "0021_net_and_gross"
down_revision = "0020_facts"
branch_labels = None
depends_on = None

ADDED = {
    "run_items": ("amount_before", "amount_after", "gross", "concerns"),
    "drift_findings": ("gross",),
}
SIDES = {"run_items": ("before", "after"), "drift_findings": ("stored", "expected")}

SUMS = r"""
    SELECT coalesce(sum(b), 0) AS before, coalesce(sum(a), 0) AS after,
           coalesce(sum(abs(coalesce(a, 0) - coalesce(b, 0))), 0) AS gross, count(*) AS amounts
    FROM (
        SELECT CASE WHEN {before} ->> name ~ '^-?\d+\.\d\d$' THEN ({before} ->> name)::numeric END AS b,
               CASE WHEN {after} ->> name ~ '^-?\d+\.\d\d$' THEN ({after} ->> name)::numeric END AS a
        FROM jsonb_object_keys(coalesce({before}, '{{}}') || coalesce({after}, '{{}}')) AS name
    ) AS apart
    WHERE a IS NOT NULL OR b IS NOT NULL
"""


def upgrade() -> None:
    """Compute them of what stands there."""
    for table, names in ADDED.items():
        for name in names:
            op.add_column(table, sa.Column(name, sa.Numeric()))
        before, after = SIDES[table]
        op.execute(f"UPDATE {table} SET gross = abs(amount)")
        sums = SUMS.format(before=f"told.{before}", after=f"told.{after}")
        both = ", amount_before = s.before, amount_after = s.after" if table == "run_items" else ""
        op.execute(
            f"UPDATE {table} AS one SET amount = s.after - s.before, gross = s.gross{both} "
            f"FROM {table} AS told CROSS JOIN LATERAL ({sums}) AS s "
            "WHERE told.id = one.id AND told.amount IS NOT NULL AND s.amounts > 0"
        )
    op.execute(
        "UPDATE run_items SET concerns = amount, amount = NULL "
        "WHERE amount IS NOT NULL AND amount_before IS NULL"
    )
    op.create_check_constraint(
        op.f("ck_run_items_ties_out"), "run_items", "amount = amount_after - amount_before"
    )
    for table in ADDED:
        op.create_check_constraint(
            op.f(f"ck_{table}_gross"), table, "gross >= abs(amount) AND gross <> 'NaN'"
        )
    op.drop_index("ix_drift_findings_amount", "drift_findings")
    _index("ix_drift_findings_gross", "gross DESC NULLS LAST")


def downgrade() -> None:
    """One amount again: of several columns the sum without signs."""
    op.drop_index("ix_drift_findings_gross", "drift_findings")
    _index("ix_drift_findings_amount", "abs(amount) DESC NULLS LAST")
    op.drop_constraint(op.f("ck_run_items_ties_out"), "run_items")
    for table, names in ADDED.items():
        op.drop_constraint(op.f(f"ck_{table}_gross"), table)
        of_document = "concerns, " if table == "run_items" else ""
        op.execute(
            f"UPDATE {table} SET amount = coalesce({of_document}"
            "CASE WHEN abs(amount) = gross THEN amount ELSE gross END)"
        )
        for name in names:
            op.drop_column(table, name)


def _index(name: str, order: str) -> None:
    op.create_index(
        name, "drift_findings", [sa.text(order), sa.text("id DESC")],
        postgresql_where="healed_at IS NULL",
    )  # fmt: skip
