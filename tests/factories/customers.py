"""Customers, saved in the app's session."""

import factory

from backoffice.app.extensions import db
from backoffice.customers.models import Customer


class CustomerFactory(factory.alchemy.SQLAlchemyModelFactory):
    """A customer with a code and a name."""

    class Meta:
        model = Customer
        sqlalchemy_session = db.session
        sqlalchemy_session_persistence = "flush"

    code = factory.Sequence(lambda n: f"C{n + 1:03}")
    name = factory.Sequence(lambda n: f"Customer {n + 1}")
    city = "Jakarta"
    country = "Indonesia"
