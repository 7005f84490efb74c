"""Metered gas on deposit: readings, prices and deposits; what readings come to, and the balance of each month.

Revision ID: 0036_gas
Revises: 0035_charging_in_order
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0036_gas"
down_revision = "0035_charging_in_order"
branch_labels = None
depends_on = None

ENTERED = ("readings", "gas_prices", "deposits")
SCOPE = "ck_api_tokens_scope"
DERIVED = ("monthly_customer_balances", "transaction_calculations")


def upgrade() -> None:
    """Create the tables; of customers, whether they are calculated as things change, and when that was last."""
    op.add_column(
        "customers",
        sa.Column(
            "use_realtime_calculation", sa.Boolean(), server_default=sa.true(), nullable=False
        ),
    )
    op.add_column(
        "customers", sa.Column("balance_last_updated_at", sa.DateTime(timezone=True), nullable=True)
    )
    _create_readings()
    _create_gas_prices()
    _create_deposits()
    _create_calculations()
    _create_months()
    for table in ENTERED:
        op.create_index(
            f"ix_audit_events_{table}_to_customer_id",
            "audit_events",
            [sa.text("(after ->> 'customer_id')")],
            postgresql_where=sa.text(
                f"table_name = '{table}' AND after ->> 'customer_id' IS NOT NULL"
            ),
        )

    op.drop_constraint(op.f(SCOPE), "api_tokens")
    op.create_check_constraint(op.f(SCOPE), "api_tokens", "scope ~ '^[a-z_]+(:(read|write))?$'")


def downgrade() -> None:
    """Drop them, and the tokens that open them."""
    op.execute(
        "DELETE FROM api_tokens WHERE scope ~ '^(readings|gas_prices|deposits):' OR scope ~ '_'"
    )
    op.drop_constraint(op.f(SCOPE), "api_tokens")
    op.create_check_constraint(op.f(SCOPE), "api_tokens", "scope ~ '^[a-z]+(:(read|write))?$'")
    for table in ENTERED:
        op.drop_index(f"ix_audit_events_{table}_to_customer_id", "audit_events")
    for table in (*DERIVED, "deposits", "gas_prices", "readings"):
        op.drop_table(table)
    op.drop_column("customers", "balance_last_updated_at")
    op.drop_column("customers", "use_realtime_calculation")
    names = (*DERIVED, *(f"facts:{table}" for table in ENTERED))
    for table in ("drift_findings", "figure_checks"):
        for name in names:
            op.execute(f"DELETE FROM {table} WHERE figure LIKE '{name}%'")


def _create_readings() -> None:
    op.create_table(
        "readings",
        *_own(),
        _day("read_on"),
        sa.Column("metered_volume", sa.Numeric(15, 3), nullable=False),
        *_counted(),
        *_keys("readings"),
        sa.UniqueConstraint("customer_id", "read_on", name="uq_readings_customer_id_read_on"),
        _no_nan("readings", "metered_volume"),
        sa.CheckConstraint("metered_volume >= 0", name="ck_readings_metered_volume"),
    )
    op.create_index("ix_readings_read_on_id", "readings", ["read_on", "id"])
    op.create_index(
        "ix_readings_customer_id_month", "readings", ["customer_id", sa.text(_month("read_on"))]
    )


def _create_gas_prices() -> None:
    op.create_table(
        "gas_prices",
        *_own(),
        _day("effective_from"),
        sa.Column("price_per_sm3", sa.Numeric(15, 4), nullable=False),
        sa.Column("correction_factor", sa.Numeric(15, 6), nullable=False),
        *_counted(),
        *_keys("gas_prices"),
        sa.UniqueConstraint(
            "customer_id", "effective_from", name="uq_gas_prices_customer_id_effective_from"
        ),
        _no_nan("gas_prices", "price_per_sm3", "correction_factor"),
        sa.CheckConstraint("price_per_sm3 >= 0", name="ck_gas_prices_price_per_sm3"),
        sa.CheckConstraint("correction_factor > 0", name="ck_gas_prices_correction_factor"),
    )
    op.create_index("ix_gas_prices_effective_from_id", "gas_prices", ["effective_from", "id"])


def _create_deposits() -> None:
    op.create_table(
        "deposits",
        *_own(),
        _day("deposited_on"),
        sa.Column("amount", sa.Numeric(15, 2), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        *_counted(),
        *_keys("deposits"),
        _no_nan("deposits", "amount"),
        sa.CheckConstraint("amount <> 0", name="ck_deposits_amount"),
    )
    op.create_index(
        "ix_deposits_customer_id_deposited_on", "deposits", ["customer_id", "deposited_on", "id"]
    )
    op.create_index("ix_deposits_deposited_on_id", "deposits", ["deposited_on", "id"])
    op.create_index(
        "ix_deposits_customer_id_month",
        "deposits",
        ["customer_id", sa.text(_month("deposited_on"))],
    )


def _create_calculations() -> None:
    table, columns = "transaction_calculations", {
        "metered_volume": 3, "correction_factor": 6, "volume_sm3": 3, "price_per_sm3": 4, "total_price": 2,
    }  # fmt: skip
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("reading_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("year_month", sa.Text(), nullable=False),
        _day("transaction_date"),
        *(sa.Column(name, sa.Numeric(15, digits), nullable=False) for name, digits in columns.items()),
        sa.Column("pricing_used", postgresql.JSONB(), nullable=False),
        _moment("calculated_at"),
        *_keys(table),
        sa.ForeignKeyConstraint(
            ["reading_id"], ["readings.id"], ondelete="CASCADE",
            name=f"fk_{table}_reading_id_readings",
        ),
        sa.UniqueConstraint("customer_id", "reading_id", name=f"uq_{table}_customer_id_reading_id"),
        _no_nan(table, *columns),
    )  # fmt: skip
    for names in (
        ["reading_id"], ["customer_id", "transaction_date"], ["customer_id", "year_month"], ["transaction_date", "id"],
    ):  # fmt: skip
        op.create_index(f"ix_{table}_{'_'.join(names)}", table, names)


def _create_months() -> None:
    table, columns = "monthly_customer_balances", {
        "opening_balance": 2, "total_deposits": 2, "total_purchases": 2, "closing_balance": 2, "total_volume_sm3": 3,
    }  # fmt: skip
    op.create_table(
        table,
        *_own(),
        sa.Column("year_month", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.Numeric(15, digits), nullable=False)
            for name, digits in columns.items()
        ),
        sa.Column("calculation_details", postgresql.JSONB(), nullable=False),
        _moment("last_calculated_at"),
        *_keys(table),
        sa.UniqueConstraint("customer_id", "year_month", name=f"uq_{table}_customer_id_year_month"),
        _no_nan(table, *columns),
    )
    op.create_index(f"ix_{table}_year_month_id", table, ["year_month", "id"])


def _month(day: str) -> str:
    """The month of a day as YYYY-MM, whatever anybody's settings are."""
    return f"((EXTRACT(year FROM {day})::text || '-') || lpad(EXTRACT(month FROM {day})::text, 2, '0'))"


def _own() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
    )


def _counted() -> tuple[sa.Column[object], ...]:
    version = sa.Column("version", sa.Integer(), server_default="1", nullable=False)
    return (version, _moment("created_at"), _moment("updated_at"))


def _keys(table: str) -> tuple[sa.Constraint, ...]:
    return (
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=f"fk_{table}_customer_id_customers"
        ),
    )


def _day(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Date(), nullable=False)


def _moment(name: str) -> sa.Column[object]:
    now = sa.func.now()
    return sa.Column(name, sa.DateTime(timezone=True), server_default=now, nullable=False)


def _no_nan(table: str, *columns: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        " AND ".join(f"{name} <> 'NaN'" for name in columns), name=f"ck_{table}_no_nan"
    )
