"""Rules of billing for every way of entry: labels, limits and conditions on documents."""

from datetime import date
from typing import Any

from ..base import N_
from ..base import identifiers as names
from ..base.periods import is_to_come
from ..base.refusals import StillToCome

POSTED, VOID = "posted", "void"
"""A posted document counts; one is voided instead of deleted: it stays and counts nowhere."""

METHODS = {
    "transfer": N_("Bank transfer"),
    "mobile": N_("Mobile money"),
    "cash": N_("Cash"),
    "card": N_("Card"),
    "cheque": N_("Cheque"),
    "other": N_("Other"),
}
"""Payment method → its name on screen."""

METER_STATES = {"active": N_("Active"), "inactive": N_("Inactive"), "unassigned": N_("Unassigned")}
"""Assignment status of a meter: an active one, only inactive ones, or never any."""

NUMBER_LENGTH = 50
"""The longest number of a meter or an invoice, and reference of a payment."""
REASON_LENGTH = 500


def counts_ahead(is_active: Any, assigned_from: Any, today: Any) -> Any:
    """Whether an assignment counts before its first day; of columns, the condition.

    A meter's balance is the customer's while the assignment is active, whatever its days: an active
    one with a later first day would take over today's balance.
    """
    return is_active & (assigned_from > today)


def takes_less(amount: Any, still_open: Any, own: Any) -> Any:
    """Whether an invoice takes less than `amount` from payments that have `own` on it; of columns, the condition.

    What is on it may stay, even where it was overpaid.
    """
    return (amount > still_open + own) & (amount > own)


def charged_of(invoiced: Any, adjusted: Any) -> Any:
    """What is charged by invoices and adjustments of these sums; of columns, the expression."""
    return invoiced + adjusted


def owed_of(invoiced: Any, adjusted: Any, paid: Any) -> Any:
    """What is still to be paid: below zero where more was paid than that; of columns, the expression."""
    return charged_of(invoiced, adjusted) - paid


def is_less_than_paid(amount: Any, paid: Any, before: Any) -> Any:
    """Whether an invoice would come to less than was paid on it; of columns, the condition.

    One that was overpaid `before` may come to more, and still to less than was paid.
    """
    return (amount < paid) & (amount < before)


def refuse_to_come(day: date) -> None:
    """Refuse a payment or adjustment dated after today: it would count as soon as it is entered. Raises StillToCome."""
    if is_to_come(day):
        raise StillToCome()


_BELOW = ("/assignments/", "/calculation/", "/statement.")
"""Parts of URLs below a record that may be followed by a digit."""


def is_number(text: str) -> bool:
    """Whether `text` can be the number of a meter or an invoice, or a payment's reference."""
    return names.is_number(text, _BELOW)
