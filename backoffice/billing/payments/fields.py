"""The fields of a payment, in the order of the form."""

from decimal import Decimal
from typing import Any

from ...base import N_, periods
from ...base.identifiers import NUMBER_SAYS
from ...customers.naming import CUSTOMERS
from ...records import NOT_TO_COME, Amount, Choice, Day, Law, Pick, Text
from ...records.fields import is_text
from ..models import Payment
from ..rules import METHODS, NUMBER_LENGTH, is_number
from .refusals import ReferenceTaken

FIELDS = (
    Pick(Payment.customer_id, N_("Customer"), of=CUSTOMERS, required=N_("Choose a customer.")),
    Day(
        Payment.paid_on, N_("Paid on"), required=N_("Enter the day."), usual=periods.today,
        laws=(NOT_TO_COME,), is_short=True,
    ),
    Choice(Payment.method, N_("Method"), words=METHODS, usual=next(iter(METHODS)), is_short=True),
    Text(
        Payment.reference, N_("Reference"), longest=NUMBER_LENGTH,
        laws=(Law(is_number, NUMBER_SAYS),), taken=ReferenceTaken.sentence,
    ),
)  # fmt: skip

AMOUNT = Amount(
    Payment.amount, N_("Amount"), required=N_("Enter the amount."),
    laws=(Law(lambda amount: amount > Decimal(0), N_("Enter an amount above zero.")),),
)  # fmt: skip


def are_parts(sent: Any) -> bool:
    """Whether the sent parts are well formed: invoices, each once, and one further part on a meter or on none."""
    if sent is None:
        return True
    if not isinstance(sent, list) or not all(map(_is_part, sent)):
        return False
    invoices = [part.get("invoice") for part in sent]
    return len(set(invoices)) == len(invoices)


def _is_part(sent: Any) -> bool:
    names = [{"amount"}, {"amount", "invoice"}, {"amount", "meter"}]
    is_part = isinstance(sent, dict) and sent.keys() in names and all(map(is_text, sent.values()))
    return is_part and AMOUNT.reads(sent["amount"])
