"""The fields of a payment, in the order of the form."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from ...base import N_, periods
from ...base.identifiers import NUMBER_SAYS
from ...customers.naming import CUSTOMERS
from ...records import NOT_TO_COME, Amount, Choice, Day, Law, Pick, Text
from ...records.lines import Problem, problems_of
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

REFERENCE = next(field for field in FIELDS if isinstance(field, Text))

AMOUNT = Amount(
    Payment.amount, N_("Amount"), required=N_("Enter the amount."),
    laws=(Law(lambda amount: amount > Decimal(0), N_("Enter an amount above zero.")),),
)  # fmt: skip


PARTS = "parts"
_OF_PART = {
    "amount": AMOUNT,
    "invoice": Text(Payment.invoice_id, N_("Invoice"), called="invoice"),
    "meter": Text(Payment.meter_id, N_("Meter"), called="meter"),
}
_MUST_BE = N_(
    'Send a list like [{"invoice": "INV-1", "amount": "100.00"}, {"meter": "M-1", "amount": "5.00"}].'
)
_PAID_TWICE = N_("Another part pays this invoice. Send each invoice once.")
_TWO_RESTS = N_("Only one part can be without an invoice. Name the invoice that this part pays.")


def problems_of_parts(sent: Any) -> Iterator[Problem]:
    """The errors of sent parts: they name invoices, each once, and at most one is on a meter or on none."""
    if sent is None:
        return
    seen = set[str]()

    def of_part(part: Mapping[str, Any]) -> Iterator[Problem]:
        if part.get("amount") is None:
            yield "amount", AMOUNT.required
        invoice = str(part.get("invoice") or "")
        if invoice and part.get("meter"):
            yield "meter", N_("An invoice has its own meter. Name one of the two.")
        if invoice in seen:
            yield "invoice", _PAID_TWICE if invoice else _TWO_RESTS
        seen.add(invoice)

    yield from problems_of(PARTS, sent, _OF_PART, _MUST_BE, of_part)
