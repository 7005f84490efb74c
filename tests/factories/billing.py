"""Meters, their assignments and documents, saved in the app's session."""

from datetime import date
from decimal import Decimal

import factory

from backoffice.app.extensions import db
from backoffice.billing.models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment

from .customers import CustomerFactory


class _Saved(factory.alchemy.SQLAlchemyModelFactory):
    class Meta:
        abstract = True
        sqlalchemy_session = db.session
        sqlalchemy_session_persistence = "flush"


class MeterFactory(_Saved):
    """An unassigned meter."""

    class Meta:
        model = Meter

    number = factory.Sequence(lambda n: f"M-{n + 1:04}")


class MeterAssignmentFactory(_Saved):
    """An assignment of a meter to a customer without beginning and end."""

    class Meta:
        model = MeterAssignment

    meter = factory.SubFactory(MeterFactory)
    customer = factory.SubFactory(CustomerFactory)


class InvoiceFactory(_Saved):
    """An invoice of 12.5 units at 100.00, and a fixed charge of 250.00: 1,500.00.

    Give `meter` and `customer`; with `units=None, rate=None` its `amount` is entered.
    """

    class Meta:
        model = Invoice

    number = factory.Sequence(lambda n: f"INV-{n + 1:05}")
    customer = factory.SubFactory(CustomerFactory)
    units = Decimal("12.5")
    rate = Decimal(100)
    fixed_charge = Decimal(250)
    issued_on = date(2026, 3, 1)
    due_on = date(2026, 3, 31)


class PaymentFactory(_Saved):
    """A bank transfer of 500.00. Give `customer`, and `meter` if it is known."""

    class Meta:
        model = Payment

    reference = factory.Sequence(lambda n: f"PAY-{n + 1:05}")
    customer = factory.SubFactory(CustomerFactory)
    paid_on = date(2026, 3, 15)
    amount = Decimal(500)


class MeterAdjustmentFactory(_Saved):
    """An adjustment that increases what is owed by 100.00."""

    class Meta:
        model = MeterAdjustment

    number = factory.Sequence(lambda n: f"ADJ-{n + 1:05}")
    customer = factory.SubFactory(CustomerFactory)
    meter = factory.SubFactory(MeterFactory)
    adjusted_on = date(2026, 3, 10)
    amount = Decimal(100)
    reason = "Late fee"
