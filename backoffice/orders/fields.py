"""The entered fields of an order, in the order of the form, and of its lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ..app.extensions import db
from ..base import N_, periods
from ..base.identifiers import NUMBER_SAYS
from ..customers.naming import CUSTOMERS
from ..database.numbering import next_number, split
from ..people.models import User
from ..products import queries as products
from ..products.models import Product
from ..products.rules import SOLD_AS
from ..records import Amount, Choice, Day, Law, Named, Pick, Quantity, Text, UnitPrice
from . import queries
from .models import COMPONENT_OF_KIND, Order, OrderLine
from .rules import DESCRIPTION_LENGTH, NUMBER_LENGTH, NUMBER_TAKEN, is_number

CHOOSE = N_("Choose an account manager.")


def _people(session: Session, text: str) -> Sequence[User]:
    """The users with that e-mail address, else those with that name."""
    is_meant = or_(func.lower(User.email) == text.lower(), User.name == text)
    found = session.scalars(select(User).where(is_meant).order_by(User.email)).all()
    return [user for user in found if user.email.lower() == text.lower()] or found


MANAGERS = Named(
    User.email,
    meant=_people,
    label=lambda user: user.name,
    none=CHOOSE,
    several=CHOOSE,
    offered=lambda session: queries.assignable_managers(session, None),
    page="",
)


def _may_have_orders(user_id: int) -> bool:
    return user_id in {user.id for user in queries.assignable_managers(db.session(), None)}


def _next_number(session: Session, _entered: Mapping[str, Any]) -> str:
    """The number that follows the newest order's."""
    head, digits = split(queries.newest_number(session))
    return next_number(session, Order.number, head, len(digits) or 1)


NUMBER = Text(
    Order.number, N_("Order number"), longest=NUMBER_LENGTH, laws=(Law(is_number, NUMBER_SAYS),), taken=NUMBER_TAKEN,
    help=N_("Leave it empty for the next one."), given=_next_number, attributes={"spellcheck": "false"},
)  # fmt: skip
CUSTOMER = Pick(Order.customer_id, N_("Customer"), of=CUSTOMERS, required=N_("Choose a customer."))
MANAGER = Pick(
    Order.account_manager_id, N_("Account manager"), of=MANAGERS, required=CHOOSE,
    laws=(Law(_may_have_orders, CHOOSE),),
)  # fmt: skip
ORDER_DATE = Day(
    Order.order_date, N_("Order date"), required=N_("Enter the order date."), usual=periods.today
)
CLOSING_DATE = Day(
    Order.closing_date, N_("Closing date"), usual=None,
    help=N_("An order with a closing date is closed and counts toward the target of that month."),
)  # fmt: skip
COMPONENTS = tuple(
    Amount(getattr(Order, name), SOLD_AS[kind], usual=None, derived=N_("from its lines"))
    for kind, name in COMPONENT_OF_KIND.items()
)

HEADER_FIELDS = (NUMBER, CUSTOMER, MANAGER, ORDER_DATE, CLOSING_DATE)
FIELDS = (*HEADER_FIELDS, *COMPONENTS)

PRODUCTS = Named(
    Product.code, meant=products.named, label=lambda product: product.code, none="",
    offered=lambda _session: (), options="products.options", page="products.record",
)  # fmt: skip

KIND = Choice(OrderLine.kind, N_("Component"), words=SOLD_AS)
PRODUCT = Pick(OrderLine.product_id, N_("Product"), of=PRODUCTS)
DESCRIPTION = Text(OrderLine.description, N_("Description"), longest=DESCRIPTION_LENGTH)
QUANTITY = Quantity(OrderLine.quantity, N_("Quantity"))
UNIT_PRICE = UnitPrice(OrderLine.unit_price, N_("Unit price"))

LINE_FIELDS = (KIND, PRODUCT, DESCRIPTION, QUANTITY, UNIT_PRICE)

LABELS = {
    **{field.key: field.label for field in (*FIELDS, *LINE_FIELDS)},
    "itemised": N_("Entered as lines"),
    "grand_total": N_("Grand total"),
    "amount": N_("Line amount"),
}
"""Column of an order or a line → its name on screen."""
