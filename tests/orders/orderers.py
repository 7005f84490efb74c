"""A form of a new order with a customer and an account manager, filled in as its tests need it."""

from typing import Any

from flask.testing import FlaskClient

from backoffice.orders.models import Order
from tests.factories.customers import CustomerFactory
from tests.factories.people import AccountManagerFactory
from tests.orders.pages import filled


def users_to_choose(session: Any) -> None:
    """The customer ALFKI and the account manager Nancy."""
    CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    AccountManagerFactory(name="Nancy Davolio")
    session.commit()


def new_order(client: FlaskClient, session: Any, **changes: Any) -> Any:
    manager = (
        session.query(Order.account_manager.property.mapper.class_)
        .filter_by(name="Nancy Davolio")
        .one()
    )
    given = {"customer": "ALFKI", "account_manager": manager.email, **changes}
    return filled(client, "/orders/new", **given)


def only_order(session: Any) -> Order:
    session.rollback()
    return session.query(Order).one()
