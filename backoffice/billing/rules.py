"""What holds for billing wherever it is entered: words, limits and what a document may be."""

from datetime import date
from typing import Any

from ..base import N_
from ..base import identifiers as names
from ..base.periods import is_to_come
from ..base.refusals import StillToCome

POSTED, VOID = "posted", "void"
"""A document counts from when it is posted; void instead of deleted, it stays and counts nowhere."""

METHODS = {
    "transfer": N_("Bank transfer"),
    "mobile": N_("Mobile money"),
    "cash": N_("Cash"),
    "card": N_("Card"),
    "cheque": N_("Cheque"),
    "other": N_("Other"),
}
"""How a payment came, and its name on screen."""

NUMBER_LENGTH = 50
"""The longest number of a meter or an invoice, and reference of a payment."""
REASON_LENGTH = 500


def counts_ahead(is_active: Any, assigned_from: Any, today: Any) -> Any:
    """Whether an assignment counts before its first day; of columns, the condition that says so.

    What is owed for a meter is the customer's while the assignment is active, whatever its days say.
    So one that is still to come would take today's balance along.
    """
    return is_active & (assigned_from > today)


def takes_less(amount: Any, still_open: Any, own: Any) -> Any:
    """Whether an invoice takes less than `amount` of those who have `own` on it; of columns, the condition.

    What is on it may stay, even where it was overpaid.
    """
    return (amount > still_open + own) & (amount > own)


def charged_of(invoiced: Any, adjusted: Any) -> Any:
    """What is to be paid, by documents that come to so much; of columns, the expression."""
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
    """Let no payment and no adjustment be dated ahead: it counts as soon as it is entered. Raises StillToCome."""
    if is_to_come(day):
        raise StillToCome()


_BELOW = ("/assignments/", "/calculation/", "/statement.")
"""Addresses of pages below a record, which go on with a part that may have a digit."""


def is_number(text: str) -> bool:
    """Whether `text` can be the number of a meter or an invoice, or a payment's reference."""
    return names.is_number(text, _BELOW)
