"""Readings, prices and deposits of gas, which users enter; and the rows derived from them."""

from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..base import N_, Base, Id, Moment
from ..base.codes import code_of
from ..base.money import Factor, Money, Quantity, UnitPrice, no_nan
from ..customers.models import Customer
from .rules import month_of


class Reading(Base):
    """The volume that a customer's meter counted since the reading before, in m³; at most one a day."""

    __tablename__ = "readings"

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    read_on: Mapped[date] = mapped_column()
    metered_volume: Mapped[Quantity] = mapped_column(info={"label": N_("Metered volume")})
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    __table_args__ = (
        no_nan("metered_volume"),
        CheckConstraint("metered_volume >= 0", name="metered_volume"),
        UniqueConstraint("customer_id", "read_on"),
        Index("ix_readings_read_on_id", "read_on", "id"),
        # Running balances are continued from a month on: rows of it and later ones are looked up.
        Index("ix_readings_customer_id_month", customer_id, month_of(read_on)),
    )

    customer: Mapped[Customer] = relationship()


class GasPrice(Base):
    """A customer's price per standard cubic metre from a day on, and the correction factor of the metered volume."""

    __tablename__ = "gas_prices"
    __table_args__ = (
        no_nan("price_per_sm3", "correction_factor"),
        CheckConstraint("price_per_sm3 >= 0", name="price_per_sm3"),
        CheckConstraint("correction_factor > 0", name="correction_factor"),
        UniqueConstraint("customer_id", "effective_from"),
        Index("ix_gas_prices_effective_from_id", "effective_from", "id"),
    )

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    effective_from: Mapped[date] = mapped_column(info={"label": N_("Effective from")})
    price_per_sm3: Mapped[UnitPrice] = mapped_column(info={"label": N_("Price per Sm³")})
    correction_factor: Mapped[Factor] = mapped_column(info={"label": N_("Correction factor")})
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    customer: Mapped[Customer] = relationship()


class Deposit(Base):
    """A payment in advance on a day, in the deployment's currency; negative: a repayment to the customer."""

    __tablename__ = "deposits"

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    deposited_on: Mapped[date] = mapped_column()
    amount: Mapped[Money] = mapped_column(info={"label": N_("Amount")})
    note: Mapped[str] = mapped_column(Text, server_default="", default="")
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    __table_args__ = (
        no_nan("amount"),
        CheckConstraint("amount <> 0", name="amount"),
        Index("ix_deposits_customer_id_deposited_on", "customer_id", "deposited_on", "id"),
        Index("ix_deposits_deposited_on_id", "deposited_on", "id"),
        # Running balances are continued from a month on: rows of it and later ones are looked up.
        Index("ix_deposits_customer_id_month", customer_id, month_of(deposited_on)),
    )

    customer: Mapped[Customer] = relationship()


_PRICE = GasPrice.__table__.c
PRICE_PARTS = {
    name: _PRICE[name] for name in ("effective_from", "price_per_sm3", "correction_factor")
}
"""What a price that was used has said: its columns, by the names under which it is kept."""


class TransactionCalculation(Base):
    """Derived: a reading at the price in force on its day; a reading without a price has no row.

    `pricing_used` is that price with its first day. A customer who is calculated on read has no such rows.
    """

    __tablename__ = "transaction_calculations"
    __table_args__ = (
        no_nan("metered_volume", "correction_factor", "volume_sm3", "price_per_sm3", "total_price"),
        UniqueConstraint("customer_id", "reading_id"),
        Index("ix_transaction_calculations_reading_id", "reading_id"),
        Index("ix_transaction_calculations_customer_id_transaction_date", "customer_id", "transaction_date"),
        Index("ix_transaction_calculations_customer_id_year_month", "customer_id", "year_month"),
        Index("ix_transaction_calculations_transaction_date_id", "transaction_date", "id"),
    )  # fmt: skip

    id: Mapped[Id]
    reading_id: Mapped[int] = mapped_column(ForeignKey(Reading.id, ondelete="CASCADE"))
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    year_month: Mapped[str] = mapped_column(Text, info={"label": N_("Month"), "is_month": True})
    transaction_date: Mapped[date] = mapped_column(info={"label": N_("Day")})
    metered_volume: Mapped[Quantity] = mapped_column(info={"label": N_("Metered volume")})
    correction_factor: Mapped[Factor] = mapped_column(info={"label": N_("Correction factor")})
    volume_sm3: Mapped[Quantity] = mapped_column(info={"label": N_("Volume Sm³")})
    price_per_sm3: Mapped[UnitPrice] = mapped_column(info={"label": N_("Price per Sm³")})
    total_price: Mapped[Money] = mapped_column(info={"label": N_("Total price")})
    pricing_used: Mapped[dict[str, Any]] = mapped_column(
        JSONB, info={"label": N_("Price used"), "parts": PRICE_PARTS}
    )
    calculated_at: Mapped[Moment]

    reading: Mapped[Reading] = relationship(passive_deletes=True)
    customer: Mapped[Customer] = relationship()


MONTH_PARTS = {
    name: Column(name, Integer, info={"label": label})
    for name, label in (
        ("readings", N_("Readings")),
        ("unpriced", N_("Readings without a price")),
        ("deposits", N_("Deposits")),
    )
}
"""What stands behind a month: counts, by the names under which they are kept."""


class MonthlyCustomerBalance(Base):
    """Derived: the deposits and purchases of a month, and the balance before and after it.

    There is one for every month with a reading or a deposit; any other month has the closing balance before it.
    `calculation_details` counts the `readings`, those of them that are `unpriced` and so in no balance, and the
    `deposits`. A customer who is calculated on read has no such rows.
    """

    __tablename__ = "monthly_customer_balances"
    __table_args__ = (
        no_nan("opening_balance", "total_deposits", "total_purchases", "closing_balance", "total_volume_sm3"),
        CheckConstraint("year_month ~ '-(0[1-9]|1[0-2])$'", name="year_month"),
        UniqueConstraint("customer_id", "year_month"),
        Index("ix_monthly_customer_balances_year_month_id", "year_month", "id"),
    )  # fmt: skip

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    year_month: Mapped[str] = mapped_column(Text, info={"label": N_("Month"), "is_month": True})
    opening_balance: Mapped[Money] = mapped_column(info={"label": N_("Opening balance")})
    total_deposits: Mapped[Money] = mapped_column(info={"label": N_("Deposits")})
    total_purchases: Mapped[Money] = mapped_column(info={"label": N_("Purchases")})
    closing_balance: Mapped[Money] = mapped_column(info={"label": N_("Closing balance")})
    total_volume_sm3: Mapped[Quantity] = mapped_column(info={"label": N_("Volume Sm³")})
    calculation_details: Mapped[dict[str, Any]] = mapped_column(
        JSONB, info={"label": N_("What stands behind it"), "parts": MONTH_PARTS}
    )
    last_calculated_at: Mapped[Moment]

    customer: Mapped[Customer] = relationship()
    code: Mapped[str] = code_of(customer_id, year_month)
    """The customer's id and the month, as addresses name it: 7/2026-03. It stays the same when the row is rewritten."""


AMOUNTS = (
    "opening_balance",
    "total_deposits",
    "total_purchases",
    "closing_balance",
    "total_volume_sm3",
)
"""The amounts of a month, of which differences may be accepted."""


class AcceptedMonth(Base):
    """The accepted difference between a closed month as stored and as expected from its facts.

    The month and later ones are then expected as stored; accepted again, it has a further row. `deposit_id` is the
    deposit that reverses the difference of the balance on an open day; deleting it revokes the acceptance. It is NULL
    where the balance is the same. `calculation_details` are NULL where those are as expected.
    """

    __tablename__ = "gas_accepted_months"
    __table_args__ = (
        no_nan(*AMOUNTS),
        Index("ix_gas_accepted_months_customer_id_year_month", "customer_id", "year_month"),
        Index("ix_gas_accepted_months_deposit_id", "deposit_id"),
    )  # fmt: skip

    id: Mapped[Id]
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    year_month: Mapped[str] = mapped_column(Text)
    opening_balance: Mapped[Money]
    total_deposits: Mapped[Money]
    total_purchases: Mapped[Money]
    closing_balance: Mapped[Money]
    total_volume_sm3: Mapped[Quantity]
    calculation_details: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    deposit_id: Mapped[int | None] = mapped_column(ForeignKey(Deposit.id, ondelete="CASCADE"))
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
