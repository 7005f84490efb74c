"""What tests of merges share: making a merge, and reading its result."""

from typing import Any

from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.customers import merging
from backoffice.customers.models import Customer, CustomerMerge
from backoffice.orders import views as _views  # noqa: F401 (registers what belongs to customers)
from backoffice.orders.models import Order
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory


def customer(code: str, orders: int = 0, **facts: Any) -> int:
    """A customer with that many orders of 9,300,000 each; their id."""
    made = CustomerFactory(code=code, **facts)
    for n in range(orders):
        OrderFactory(number=f"{code}-{n + 1}", customer=made)
    return int(made.id)


def order_for(key: int, number: str) -> None:
    """One more order of the customer with that id."""
    OrderFactory(number=number, customer=db.session.get_one(Customer, key))


def merge(session: Any, survivor: int, duplicate: int, *taken: str) -> CustomerMerge:
    """Preview, then merge as previewed."""
    pair = [session.get_one(Customer, key) for key in (survivor, duplicate)]
    digest = merging.preview(session, *pair).digest
    record = merging.merge(session, survivor, duplicate, taken=taken, digest=digest)
    session.commit()
    return record


def owners(session: Any) -> dict[str, str]:
    """The customer's code of each order, by order number."""
    session.rollback()
    rows = session.execute(select(Order.number, Customer.code).join(Order.customer))
    return dict(rows.all())
