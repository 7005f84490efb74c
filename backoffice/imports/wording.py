"""The labels of kinds of files and their columns, and the sentences of problems."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _

from ..base import N_, Base
from ..billing.rules import METHODS
from ..figures.showing.terms import label_of
from ..orders.fields import FIELDS as ORDER_FIELDS
from ..orders.fields import LABELS as ORDER_LABELS
from ..orders.fields import LINE_FIELDS
from ..products.rules import SOLD_AS
from ..records.writing import written
from ..web.formats import (
    money_filter,
    quantity_filter,
    recorded_day,
    unit_price_filter,
)
from .kinds import KINDS

KIND_NAMES = {
    "customers": N_("Customers"),
    "account-managers": N_("Account managers"),
    "products": N_("Products"),
    "orders": N_("Orders"),
    "order-lines": N_("Order lines"),
    "meters": N_("Meters"),
    "invoices": N_("Invoices"),
    "payments": N_("Payments"),
    "wallet-charges": N_("Wallet charges"),
    "prices": N_("Gas prices"),
    "readings": N_("Gas readings"),
    "deposits": N_("Gas deposits"),
    "accounts": N_("Accounts"),
    "journal": N_("Journal"),
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
        "The file has all lines of a kind for each order that it names. Import the orders first."
    ),
    "meters": N_(
        "Meters by their number, and the customers that they are assigned to. Import the customers first."
    ),
    "invoices": N_("Created and updated by their number. Customers and meters come first."),
    "payments": N_(
        "Created and updated by their reference. A meter and an invoice may be named; they come first."
    ),
    "wallet-charges": N_(
        "Charged one by one, in the order of the file. A charge above the balance is refused, "
        "and a key that was charged before is skipped."
    ),
    "prices": N_("Created and updated by customer and first day. The customers come first."),
    "readings": N_(
        "Created and updated by customer and day. A reading without a price is stored, but counts in no balance."
    ),
    "deposits": N_(
        "Matched with the stored deposits of the same customer, day and amount. "
        "The same file again creates nothing twice."
    ),
    "accounts": N_("The chart of the ledger, created and updated by code."),
    "journal": N_(
        "Entries by their number, each with all its lines, are created and posted. Import the accounts first."
    ),
}
"""Kind of file → a description for the upload form."""

PLACES = {
    "customers": "customers.index",
    "account-managers": "people.users",
    "products": "products.index",
    "orders": "orders.index",
    "order-lines": "orders.index",
    "meters": "meters.index",
    "invoices": "invoices.index",
    "payments": "payments.index",
    "wallet-charges": "wallet_transactions.index",
    "prices": "gas_prices.index",
    "readings": "readings.index",
    "deposits": "deposits.index",
    "accounts": "accounts.index",
    "journal": "entries.index",
}
"""Kind of file → the endpoint that lists the imported records."""

RECORDS = {
    "customers": ("customers.record", "code"),
    "orders": ("orders.record", "number"),
    "products": ("products.record", "code"),
    "meters": ("meters.record", "number"),
    "invoices": ("invoices.record", "number"),
    "payments": ("payments.record", "reference"),
    "wallets": ("wallets.record", "number"),
    "accounts": ("accounts.record", "code"),
    "journal_entries": ("entries.record", "number"),
}
"""Table → the endpoint of a record's page, and its URL argument."""

LABELS = {
    **ORDER_LABELS,
    "account_code": N_("Account"),
    "account_manager_email": N_("Account manager’s e-mail"),
    "assigned_from": N_("Assigned from"),
    "assigned_to": N_("Assigned until"),
    "city": N_("City"),
    "code": N_("Code"),
    "credit": N_("Credit"),
    "contact_name": N_("Contact"),
    "country": N_("Country"),
    "correction_factor": N_("Correction factor"),
    "date": N_("Date"),
    "debit": N_("Debit"),
    "entry_date": N_("Date"),
    "entry_number": N_("Entry"),
    "customer_code": N_("Customer code"),
    "deposited_on": N_("Deposited on"),
    "document": N_("Document"),
    "document_date": N_("Document date"),
    "due_on": N_("Due on"),
    "effective_from": N_("Valid from"),
    "email": N_("E-mail"),
    "fixed_charge": N_("Fixed charge"),
    "idempotency_key": N_("Idempotency key"),
    "invoice_id": N_("Invoice"),
    "invoice_number": N_("Invoice number"),
    "is_active": N_("Active"),
    "issued_on": N_("Issued on"),
    "meter_id": N_("Meter"),
    "meter_number": N_("Meter number"),
    "line_memo": N_("Memo of the line"),
    "memo": N_("Memo"),
    "parent": N_("Parent account"),
    "metered_volume": N_("Metered volume"),
    "metered_volume_m3": N_("Metered volume (m³)"),
    "method": N_("Method"),
    "name": N_("Name"),
    "order_id": N_("Order"),
    "order_number": N_("Order number"),
    "paid_on": N_("Paid on"),
    "phone": N_("Phone"),
    "price_per_sm3": N_("Price per Sm³"),
    "product_code": N_("Product code"),
    "product_id": N_("Product"),
    "rate": N_("Rate"),
    "read_on": N_("Read on"),
    "reference": N_("Reference"),
    "role": N_("Role"),
    "service_type": N_("Service"),
    "source": N_("Source"),
    "type": N_("Type"),
    "unit": N_("Unit"),
    "units": N_("Units"),
    "wallet_id": N_("Wallet"),
}
"""Column → its name on screen."""

OWN_LABELS = {
    "meters": {"number": N_("Meter number")},
    "invoices": {"number": N_("Invoice number"), "amount": N_("Amount")},
    "payments": {"amount": N_("Amount")},
    "wallet-charges": {"amount": N_("Amount")},
    "deposits": {"amount": N_("Amount"), "note": N_("Note")},
    "prices": {"effective_from": N_("Effective from")},
    "wallet_transactions": {"amount": N_("Amount")},
}
"""Kind of file or table → its columns with another label there."""

STATES = {
    "uploaded": (N_("Columns to be confirmed"), "info"),
    "checked": (N_("Not imported yet"), "warning"),
    "applied": (N_("Imported"), "good"),
    "applying": (N_("Being carried out"), "info"),
    "ended": (N_("No longer charged every month"), "neutral"),
}
"""State of an upload → its name on screen, and its tone."""

_VALUE = re.compile(r"%\(\w+\)s")


def kind_name(kind: str) -> str:
    """The kind's name in the reader's language."""
    return str(_(KIND_NAMES.get(kind, kind)))


def label(column: str, of: str = "") -> str:
    """The column's name in the reader's language; `of` is the kind of file or the table that has it."""
    name = OWN_LABELS.get(of, {}).get(column) or LABELS.get(column)
    if name is None and of in Base.metadata.tables and column in Base.metadata.tables[of].c:
        name = label_of(Base.metadata.tables[of].c[column])
    return str(_(name)) if name else column


def sentence(message: str, params: Mapping[str, str]) -> str:
    """A problem's sentence in the reader's language."""
    return str(_(message, **params))


def pattern(message: str) -> str:
    """A sentence with … in place of its params."""
    return _VALUE.sub("…", str(_(message)))


def kinds() -> list[tuple[str, str]]:
    """The kinds of files to choose from, in the order in which they depend on each other."""
    return [(kind, kind_name(kind)) for kind in KINDS]


class Values:
    """Formats recorded values as the screens do; ids have been replaced by names before."""

    def __call__(self, column: str, value: Any) -> str:
        """One value; a dash where there is none."""
        if value in (None, "", []):
            return "–"
        if column.endswith("_id"):
            return str(value)
        if isinstance(value, bool):
            return str(_("yes") if value else _("no"))
        if column in _WORDS:
            return _WORDS[column](value)
        field = _OF_ORDERS.get(column)
        return written(field, field.fact(value)) if field else str(value)


_OF_ORDERS = {field.key: field for field in (*ORDER_FIELDS, *LINE_FIELDS)}

_WORDS: Mapping[str, Callable[[Any], str]] = {
    **dict.fromkeys(
        (
            "assigned_from",
            "assigned_to",
            "issued_on",
            "due_on",
            "paid_on",
            "read_on",
            "deposited_on",
        ),
        recorded_day,
    ),
    "method": lambda value: str(_(METHODS.get(value, value))),
    **dict.fromkeys(("amount", "grand_total"), lambda value: money_filter(Decimal(str(value)))),
    "itemised": lambda kinds: ", ".join(str(_(SOLD_AS.get(kind, kind))) for kind in kinds),
    **dict.fromkeys(
        ("units", "metered_volume", "correction_factor"),
        lambda value: quantity_filter(Decimal(str(value))),
    ),
    **dict.fromkeys(
        ("rate", "price_per_sm3"), lambda value: unit_price_filter(Decimal(str(value)))
    ),
    "fixed_charge": lambda value: money_filter(Decimal(str(value))),
}
"""Column without a declared field of orders → the formatter of its recorded values."""
