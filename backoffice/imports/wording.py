"""The words for kinds of files, their columns, and what is wrong in them."""

import re
from collections.abc import Mapping
from typing import Any

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..base import N_
from ..orders.wording import LABELS as ORDER_LABELS
from ..orders.wording import Wording
from .kinds import KINDS

KIND_NAMES = {
    "customers": N_("Customers"),
    "account-managers": N_("Account managers"),
    "products": N_("Products"),
    "orders": N_("Orders"),
    "order-lines": N_("Order lines"),
}
"""Kind of file → its name on screen."""

ABOUT = {
    "customers": N_("Created and updated by their code."),
    "account-managers": N_(
        "Users by e-mail address, who cannot sign in before they have a password."
    ),
    "products": N_("Created and updated by their code, with prices from a day on."),
    "orders": N_("Created and updated by their number. Customers and account managers come first."),
    "order-lines": N_(
        "All lines of a kind of each order that the file names; the orders come first."
    ),
}
"""Kind of file → what its rows do."""

PLACES = {
    "customers": "customers.index",
    "account-managers": "people.users",
    "products": "products.index",
    "orders": "orders.index",
    "order-lines": "orders.index",
}
"""Kind of file → the screen on which one sees what was imported."""

RECORDS = {
    "customers": ("customers.record", "code"),
    "orders": ("orders.record", "number"),
    "products": ("products.record", "code"),
}
"""Table → the screen of one of its rows, and what names the row in the address."""

LABELS = {
    **ORDER_LABELS,
    "account_manager_email": N_("Account manager’s e-mail"),
    "city": N_("City"),
    "code": N_("Code"),
    "contact_name": N_("Contact"),
    "country": N_("Country"),
    "customer_code": N_("Customer code"),
    "effective_from": N_("Valid from"),
    "email": N_("E-mail"),
    "is_active": N_("Active"),
    "name": N_("Name"),
    "order_id": N_("Order"),
    "order_number": N_("Order number"),
    "phone": N_("Phone"),
    "product_code": N_("Product code"),
    "product_id": N_("Product"),
    "role": N_("Role"),
    "unit": N_("Unit"),
}
"""Column → its name on screen."""

STATES = {
    "uploaded": (N_("Columns to be confirmed"), "info"),
    "checked": (N_("Not imported yet"), "warning"),
    "applied": (N_("Imported"), "good"),
}
"""State of an upload → its name on screen, and its tone."""

_VALUE = re.compile(r"%\(\w+\)s")


def kind_name(kind: str) -> str:
    """The kind's name in the reader's language."""
    return str(_(KIND_NAMES.get(kind, kind)))


def label(column: str) -> str:
    """The column's name in the reader's language."""
    return str(_(LABELS[column])) if column in LABELS else column


def sentence(message: str, params: Mapping[str, str]) -> str:
    """What is wrong, in the reader's language."""
    return str(_(message, **params))


def pattern(message: str) -> str:
    """The sentence of many problems, with … for what is different in each."""
    return _VALUE.sub("…", str(_(message)))


def kinds() -> list[tuple[str, str]]:
    """The kinds of files to choose from, in the order in which they build on each other."""
    return [(kind, kind_name(kind)) for kind in KINDS]


class Values:
    """Writes recorded values as the screens do; names stand in place of ids already."""

    def __init__(self, session: Session) -> None:
        self._wording = Wording(session)

    def __call__(self, column: str, value: Any) -> str:
        """One value; a dash where there is none."""
        return (
            str(value) if column.endswith("_id") and value else self._wording.value(column, value)
        )
