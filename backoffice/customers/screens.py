"""The frame around every page of a customer, of any domain."""

from ..records.screens import Screens
from .records import CUSTOMER

screens = Screens(
    CUSTOMER,
    "customers/index.html",
    record_page="customers/record.html",
    frame="customers/customer.html",
    head=lambda customer: {"customer": customer},
)
