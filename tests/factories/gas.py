"""Readings, prices and deposits of gas, saved in the app's session."""

from datetime import date
from decimal import Decimal

import factory

from backoffice.app.extensions import db
from backoffice.gas.models import Deposit, GasPrice, Reading

from .customers import CustomerFactory


class _Factory(factory.alchemy.SQLAlchemyModelFactory):
    class Meta:
        abstract = True
        sqlalchemy_session = db.session
        sqlalchemy_session_persistence = "flush"


class ReadingFactory(_Factory):
    """A reading on a day of January 2026."""

    class Meta:
        model = Reading

    customer = factory.SubFactory(CustomerFactory)
    read_on = factory.Sequence(lambda n: date(2026, 1, 1 + n % 28))
    metered_volume = Decimal("100.000")


class GasPriceFactory(_Factory):
    """A price since the beginning of 2026."""

    class Meta:
        model = GasPrice

    customer = factory.SubFactory(CustomerFactory)
    effective_from = date(2026, 1, 1)
    price_per_sm3 = Decimal("10500.0000")
    correction_factor = Decimal("1.012345")


class DepositFactory(_Factory):
    """A deposit at the beginning of 2026."""

    class Meta:
        model = Deposit

    customer = factory.SubFactory(CustomerFactory)
    deposited_on = date(2026, 1, 1)
    amount = Decimal("1000000.00")
