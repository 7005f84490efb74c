"""Meters, whose they are, and the invoices, payments and adjustments that make up what is owed.

Revision ID: 0018_billing
Revises: 0017_note_retries
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018_billing"
down_revision = "0017_note_retries"
branch_labels = None
depends_on = None

BALANCES = ("balance", "overpayment")

OF_CUSTOMERS = ("meter_assignments", "invoices", "payments", "meter_adjustments")
"""Whatever of these is booked on a customer that was merged ends at the survivor, as with orders."""


def upgrade() -> None:
    """Create the tables of billing; a customer has a balance from now on."""
    for name in BALANCES:
        op.add_column("customers", _money(name, is_kept=True))
    op.create_check_constraint(
        op.f("ck_customers_no_nan"), "customers", "balance <> 'NaN' AND overpayment <> 'NaN'"
    )
    _create_meters()
    _create_invoices()
    _create_payments()
    _create_adjustments()
    for table in OF_CUSTOMERS:
        op.execute(
            f"CREATE TRIGGER {table}_follow_merged_customer "
            f"BEFORE INSERT OR UPDATE OF customer_id ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION follow_merged_customer()"
        )


def downgrade() -> None:
    """Drop them."""
    for table in ("meter_adjustments", "payments", "invoices", "meter_assignments", "meters"):
        op.drop_table(table)
    op.drop_constraint(op.f("ck_customers_no_nan"), "customers")
    for name in BALANCES:
        op.drop_column("customers", name)


def _create_meters() -> None:
    sums = ("invoiced", "adjusted", "paid", *BALANCES)
    _create(
        "meters",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        *(_money(name, is_kept=True) for name in sums),
        _no_nan("meters", *sums),
        sa.UniqueConstraint("number", name="uq_meters_number"),
    )
    _create(
        "meter_assignments",
        *_references("meter_assignments", meter_id="meters", customer_id="customers"),
        sa.Column("assigned_from", sa.Date(), nullable=True),
        sa.Column("assigned_to", sa.Date(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.CheckConstraint("assigned_from <= assigned_to", name="ck_meter_assignments_days"),
    )
    op.create_index(
        "ix_meter_assignments_active", "meter_assignments", ["meter_id"],
        unique=True, postgresql_where=sa.text("is_active"),
    )  # fmt: skip
    _index("meter_assignments", "meter_id")
    _index("meter_assignments", "customer_id")


def _create_invoices() -> None:
    _create(
        "invoices",
        sa.Column("number", sa.Text(), nullable=False),
        *_references("invoices", customer_id="customers", meter_id="meters"),
        sa.Column("units", sa.Numeric(15, 3), nullable=True),
        sa.Column("rate", sa.Numeric(15, 4), nullable=True),
        *(_money(name, is_kept=True) for name in ("fixed_charge", "amount", "paid")),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        *_status("invoices"),
        _no_nan("invoices", "units", "rate", "fixed_charge", "amount", "paid"),
        sa.CheckConstraint("(units IS NULL) = (rate IS NULL)", name="ck_invoices_units_and_rate"),
        sa.UniqueConstraint("number", name="uq_invoices_number"),
    )
    _index("invoices", "meter_id", "issued_on", "id", name="meter_id_issued_on")
    _index("invoices", "customer_id", "issued_on", "id", name="customer_id_issued_on")
    _index("invoices", "issued_on", "id")
    _index("invoices", "meter_id", "due_on", "id", name="open",
           where="status <> 'void' AND paid < amount",
           include=("issued_on", "amount", "paid"))  # fmt: skip
    _index("invoices", "issued_on", name="without_meter",
           where="meter_id IS NULL AND status <> 'void'")  # fmt: skip


def _create_payments() -> None:
    _create(
        "payments",
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("part", sa.Integer(), server_default="1", nullable=False),
        *_references("payments", customer_id="customers", meter_id="meters", invoice_id="invoices"),
        sa.Column("method", sa.Text(), server_default="transfer", nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        _money("amount"),
        *_status("payments"),
        _no_nan("payments", "amount"),
        sa.CheckConstraint(
            "method IN ('transfer', 'mobile', 'cash', 'card', 'cheque', 'other')",
            name="ck_payments_method",
        ),
    )
    op.create_index("ix_payments_reference_part", "payments", ["reference", "part"], unique=True)
    _index("payments", "reference", name="further_parts", where="part > 1")
    _index("payments", "meter_id", "paid_on", "id", name="meter_id_paid_on")
    _index("payments", "customer_id", "paid_on", "id", name="customer_id_paid_on")
    _index("payments", "invoice_id")
    _index("payments", "paid_on", "id")
    _index("payments", "paid_on", "id", name="unmatched",
           where="meter_id IS NULL AND status <> 'void'")  # fmt: skip


def _create_adjustments() -> None:
    _create(
        "meter_adjustments",
        sa.Column("number", sa.Text(), nullable=False),
        *_references("meter_adjustments", meter_id="meters", customer_id="customers"),
        sa.Column("adjusted_on", sa.Date(), nullable=False),
        _money("amount"),
        sa.Column("reason", sa.Text(), nullable=False),
        *_status("meter_adjustments"),
        _no_nan("meter_adjustments", "amount"),
        sa.CheckConstraint("reason <> ''", name="ck_meter_adjustments_reason"),
        sa.UniqueConstraint("number", name="uq_meter_adjustments_number"),
    )
    _index("meter_adjustments", "meter_id", "adjusted_on", "id", name="meter_id_adjusted_on")
    _index("meter_adjustments", "customer_id")
    _index("meter_adjustments", "adjusted_on", "id")


def _create(table: str, *parts: Any) -> None:
    """A table with the surrogate key and the bookkeeping that every business table has."""
    now = {"server_default": sa.func.now(), "nullable": False}
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        *parts,
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), **now),
        sa.Column("updated_at", sa.DateTime(timezone=True), **now),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )


def _money(name: str, *, is_kept: bool = False) -> sa.Column[Any]:
    """An amount; one that is kept for the row begins at 0."""
    default = {"server_default": "0"} if is_kept else {}
    return sa.Column(name, sa.Numeric(15, 2), nullable=False, **default)


def _no_nan(table: str, *columns: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        " AND ".join(f"{name} <> 'NaN'" for name in columns), name=f"ck_{table}_no_nan"
    )


def _references(table: str, **columns: str) -> list[Any]:
    """Foreign keys; what a document is booked on may be unknown, whose it is may not."""
    may_be_unknown = {"invoices": {"meter_id"}, "payments": {"meter_id", "invoice_id"}}
    nullable = may_be_unknown.get(table, set())
    keys: list[Any] = [
        sa.Column(name, sa.BigInteger(), nullable=name in nullable) for name in columns
    ]
    return keys + [
        sa.ForeignKeyConstraint([name], [f"{other}.id"], name=f"fk_{table}_{name}_{other}")
        for name, other in columns.items()
    ]


def _status(table: str) -> list[Any]:
    return [
        sa.Column("status", sa.Text(), server_default="posted", nullable=False),
        sa.Column("void_reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("status IN ('posted', 'void')", name=f"ck_{table}_status"),
    ]


def _index(
    table: str, *columns: str, name: str = "", where: str | None = None, include: Sequence[str] = ()
) -> None:
    op.create_index(
        f"ix_{table}_{name or '_'.join(columns)}", table, list(columns),
        postgresql_where=None if where is None else sa.text(where),
        postgresql_include=list(include),
    )  # fmt: skip
