"""Meters, their assignments to customers, and the documents that make up their balances."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text, text
from sqlalchemy.ext.hybrid import hybrid_method, hybrid_property
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship, remote

from ..base import N_, Base, Id, Moment
from ..base.money import Money, Quantity, UnitPrice, no_nan
from ..base.spelling import look_index
from ..customers.models import Customer, Owing
from .rules import METHODS, POSTED, VOID


def _status() -> CheckConstraint:
    """The check of a document's status; each table needs a constraint of its own."""
    return CheckConstraint("status IN ('posted', 'void')", name="status")


class Meter(Owing, Base):
    """A meter and its balance, from all its documents, whichever customer it was assigned to on their days.

    `invoiced`, `adjusted` and `paid` are the sums of its documents that are not void; `balance` is
    what is still owed and `overpayment` what was paid beyond that: one of the two is always 0. All
    five are figures. Amounts are in the deployment's currency.
    """

    __tablename__ = "meters"
    __table_args__ = (
        no_nan("invoiced", "adjusted", "paid", "balance", "overpayment"),
        look_index("meters", "number"),
    )

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(Text, unique=True)
    description: Mapped[str] = mapped_column(Text, server_default="", default="")
    invoiced: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Invoiced")}
    )
    adjusted: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Adjustments")}
    )
    paid: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Paid")}
    )
    balance: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Balance")}
    )
    overpayment: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Overpayment")}
    )
    balance_changed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """When balance or overpayment last changed; a trigger stamps it."""
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    assignments: Mapped[list["MeterAssignment"]] = relationship(
        back_populates="meter", order_by="MeterAssignment.id"
    )


class MeterAssignment(Base):
    """The assignment of a meter to a customer.

    From the day `assigned_from` to `assigned_to`, both inclusive; NULL: unbounded. The meter's balance counts for the
    customer while the assignment `is_active`; at most one of a meter is. The days decide which customer a document of
    that day belongs to, not which balance it counts in.
    """

    __tablename__ = "meter_assignments"
    __table_args__ = (
        CheckConstraint("assigned_from <= assigned_to", name="days"),
        Index(
            "ix_meter_assignments_active",
            "meter_id",
            unique=True,
            postgresql_where=text("is_active"),
        ),
        Index("ix_meter_assignments_meter_id", "meter_id"),
        Index("ix_meter_assignments_customer_id", "customer_id"),
    )

    id: Mapped[Id]
    meter_id: Mapped[int] = mapped_column(ForeignKey(Meter.id))
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    assigned_from: Mapped[date | None]
    assigned_to: Mapped[date | None]
    is_active: Mapped[bool] = mapped_column(server_default="true", default=True)
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    meter: Mapped[Meter] = relationship(back_populates="assignments")
    customer: Mapped[Customer] = relationship()


class Invoice(Base):
    """What a customer owes for a meter from the day `issued_on` on, to be paid by `due_on`.

    With `units` its `amount` is a figure: units × rate, rounded, and the fixed charge. Without them,
    as in imported books, it is entered. `paid` is the figure of the payments that name this invoice,
    not of those on its meter alone. An invoice without a meter counts in no balance, and is
    reported.
    """

    __tablename__ = "invoices"
    __table_args__ = (
        no_nan("units", "rate", "fixed_charge", "amount", "paid"),
        CheckConstraint("(units IS NULL) = (rate IS NULL)", name="units_and_rate"),
        look_index("invoices", "number"),
        _status(),
        Index(
            "ix_invoices_meter_id_issued_on",
            "meter_id", "issued_on", "id",
            postgresql_include=["amount", "status"],
        ),
        Index("ix_invoices_customer_id_issued_on", "customer_id", "issued_on", "id"),
        Index("ix_invoices_issued_on_id", "issued_on", "id"),
        Index(
            "ix_invoices_open",
            "meter_id", "due_on", "id",
            postgresql_where=text("status <> 'void' AND paid < amount"),
            postgresql_include=["issued_on", "amount", "paid"],
        ),
        Index(
            "ix_invoices_without_meter",
            "issued_on",
            postgresql_where=text("meter_id IS NULL AND status <> 'void'"),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(Text, unique=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    meter_id: Mapped[int | None] = mapped_column(ForeignKey(Meter.id))
    units: Mapped[Quantity | None] = mapped_column(info={"label": N_("Units")})
    rate: Mapped[UnitPrice | None] = mapped_column(info={"label": N_("Rate")})
    fixed_charge: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Fixed charge")}
    )
    amount: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Amount")}
    )
    paid: Mapped[Money] = mapped_column(
        server_default="0", default=Decimal(0), info={"label": N_("Paid")}
    )
    issued_on: Mapped[date]
    due_on: Mapped[date]
    status: Mapped[str] = mapped_column(Text, server_default=POSTED, default=POSTED)
    void_reason: Mapped[str] = mapped_column(
        Text, server_default="", default="", info={"longest": 500}
    )
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    customer: Mapped[Customer] = relationship()
    meter: Mapped[Meter | None] = relationship()

    @hybrid_property
    def open(self) -> Decimal:
        """The amount that is not paid yet; below zero where it was overpaid. A void invoice is not owed at all."""
        return self.open_after(self.paid)

    @hybrid_method
    def open_after(self, paid: Any) -> Decimal:
        """The open amount once `paid` is paid on it."""
        still: Decimal = self.amount - paid
        return still

    @hybrid_property
    def is_open(self) -> bool:
        """Whether it is posted and not fully paid; the index of open invoices serves this condition."""
        return (self.status != VOID) & (self.paid < self.amount)


class Payment(Base):
    """What a customer paid on a day, on one meter and perhaps on one invoice of it.

    A receipt that pays several invoices is several rows of one `reference`, numbered by `part`.
    Without a meter it counts in no balance: it is unmatched, and listed until a user matches it.
    `replaces_id`, of a first part, is the first part of the void receipt that this one replaces.
    """

    __tablename__ = "payments"
    __table_args__ = (
        no_nan("amount"),
        CheckConstraint(
            f"method IN ({', '.join(repr(m) for m in METHODS)})",
            name="method",
        ),
        _status(),
        Index("ix_payments_reference_part", "reference", "part", unique=True),
        look_index("payments", "reference"),
        Index("ix_payments_further_parts", "reference", postgresql_where=text("part > 1")),
        Index(
            "ix_payments_meter_id_paid_on",
            "meter_id", "paid_on", "id",
            postgresql_include=["amount", "status"],
        ),
        Index("ix_payments_customer_id_paid_on", "customer_id", "paid_on", "id"),
        Index("ix_payments_invoice_id", "invoice_id"),
        Index("ix_payments_paid_on_id", "paid_on", "id"),
        Index(
            "ix_payments_unmatched",
            "paid_on", "id",
            postgresql_where=text("meter_id IS NULL AND status <> 'void'"),
        ),
        Index(
            "ix_payments_replaces_id",
            "replaces_id",
            unique=True,
            postgresql_where=text("replaces_id IS NOT NULL"),
        ),
    )  # fmt: skip

    id: Mapped[Id]
    reference: Mapped[str] = mapped_column(Text, info={"longest": 70})  # with "… (void 12)"
    part: Mapped[int] = mapped_column(server_default="1", default=1)
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    meter_id: Mapped[int | None] = mapped_column(ForeignKey(Meter.id))
    invoice_id: Mapped[int | None] = mapped_column(ForeignKey(Invoice.id))
    method: Mapped[str] = mapped_column(Text, server_default="transfer", default="transfer")
    paid_on: Mapped[date]
    amount: Mapped[Money] = mapped_column(info={"label": N_("Amount")})
    status: Mapped[str] = mapped_column(Text, server_default=POSTED, default=POSTED)
    void_reason: Mapped[str] = mapped_column(
        Text, server_default="", default="", info={"longest": 500}
    )
    replaces_id: Mapped[int | None] = mapped_column(ForeignKey("payments.id"))
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    customer: Mapped[Customer] = relationship()
    meter: Mapped[Meter | None] = relationship()
    invoice: Mapped[Invoice | None] = relationship()
    parts: Mapped[list["Payment"]] = relationship(
        primaryjoin=lambda: Payment.reference == remote(foreign(Payment.reference)),
        order_by=lambda: Payment.part,
        viewonly=True,
    )
    """All payments of the receipt, including this one."""


class MeterAdjustment(Base):
    """A manual correction of a meter's balance, with a reason.

    A positive amount is owed in addition, a negative one is forgiven. `customer_id` is the customer
    who had the meter.
    """

    __tablename__ = "meter_adjustments"
    __table_args__ = (
        no_nan("amount"),
        CheckConstraint("reason <> ''", name="reason"),
        look_index("meter_adjustments", "number"),
        _status(),
        Index("ix_meter_adjustments_meter_id_adjusted_on", "meter_id", "adjusted_on", "id"),
        Index("ix_meter_adjustments_customer_id", "customer_id"),
        Index("ix_meter_adjustments_adjusted_on_id", "adjusted_on", "id"),
    )

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(Text, unique=True)
    meter_id: Mapped[int] = mapped_column(ForeignKey(Meter.id))
    customer_id: Mapped[int] = mapped_column(ForeignKey(Customer.id))
    adjusted_on: Mapped[date]
    amount: Mapped[Money] = mapped_column(info={"label": N_("Amount")})
    reason: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default=POSTED, default=POSTED)
    void_reason: Mapped[str] = mapped_column(
        Text, server_default="", default="", info={"longest": 500}
    )
    version: Mapped[int] = mapped_column(server_default="1", default=1)
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]

    meter: Mapped[Meter] = relationship()
    customer: Mapped[Customer] = relationship()
