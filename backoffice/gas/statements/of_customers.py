"""Gas on the screens of customers."""

from typing import Any

from ...app.extensions import db
from ...customers.models import Customer
from ...security.rights import allowed
from ...web.additions import Addition
from .queries import has_gas

SHOWN = 12
"""Months on a customer's own page, the newest ones."""


def _part(customer: Customer, user: Any, _number: int) -> dict[str, Any] | None:
    """The newest months; nothing for who may not read them, or where nothing of gas is entered."""
    if not allowed(user, "gas.read") or not has_gas(db.session(), customer):
        return None
    from .views import about  # the screens: whoever lists the parts imports none

    return about(customer) | {"SHOWN": SHOWN}


PARTS = (Addition(Customer, "gas/of_customer.html", _part),)
