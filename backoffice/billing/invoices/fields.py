"""The fields of an invoice, in the order of the form."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from ...base import N_, periods
from ...base.identifiers import NUMBER_SAYS
from ...customers.naming import CUSTOMERS
from ...database.numbering import next_number
from ...records import Amount, Day, Law, Pick, Quantity, Text, UnitPrice
from ..meters.naming import METERS
from ..models import Invoice
from ..rules import NUMBER_LENGTH, is_number


def _next_number(session: Session, values: Mapping[str, Any]) -> str:
    return next_number(session, Invoice.number, f"INV-{values['issued_on'].year}-")


FIELDS = (
    Day(Invoice.issued_on, N_("Issued"), required=N_("Enter the day of issue."), usual=periods.today),
    Day(Invoice.due_on, N_("Due"), help=N_("Left empty, 30 days after it is issued."), usual=None),
    Text(
        Invoice.number, N_("Invoice number"), longest=NUMBER_LENGTH, given=_next_number,
        laws=(Law(is_number, NUMBER_SAYS),),
        taken=N_("There is already an invoice %(number)s. Choose another number."),
        help=N_("Left empty, it gets the next number of its year."), attributes={"spellcheck": "false"},
    ),
    Pick(Invoice.customer_id, N_("Customer"), of=CUSTOMERS, required=N_("Choose a customer.")),
    Pick(Invoice.meter_id, N_("Meter"), of=METERS),
    Quantity(Invoice.units, N_("Units")),
    UnitPrice(Invoice.rate, N_("Rate")),
    Amount(Invoice.fixed_charge, N_("Fixed charge"), empty_is_zero=True),
    Amount(
        Invoice.amount, N_("Amount"), counts=lambda invoice: invoice.units is None,
        help=N_("Only without units: with them it is computed."),
    ),
)  # fmt: skip

NUMBER = next(field for field in FIELDS if isinstance(field, Text))

PLACED = {
    "number", "customer", "meter", "issued_on", "due_on", "units", "rate", "fixed_charge", "amount",
}  # fmt: skip
"""Fields with a fixed position in list, form and page; any other follows the days."""
