"""Constants and rules of wallets: statuses, types and limits."""

from typing import Any

from sqlalchemy import case

from ..base import N_
from ..base import identifiers as names

ACTIVE, SUSPENDED, CLOSED = "active", "suspended", "closed"
RECHARGE, CHARGE, REFUND, ADJUSTMENT = "recharge", "charge", "refund", "adjustment"

PUT_IN, TAKEN_OUT = (RECHARGE, REFUND, ADJUSTMENT), (CHARGE,)
"""The types of transactions that add their amount, which may be negative, and those that subtract it."""

STATUSES = {ACTIVE: N_("Active"), SUSPENDED: N_("Suspended"), CLOSED: N_("Closed")}
TONES = {ACTIVE: "good", SUSPENDED: "warning", CLOSED: "neutral"}
"""The status on screen. Nothing is charged to a wallet that is suspended, nothing moves in one that is closed."""

TYPES = {
    RECHARGE: N_("Recharge"), CHARGE: N_("Charge"), REFUND: N_("Refund"), ADJUSTMENT: N_("Adjustment"),
}  # fmt: skip
"""Type of transaction → its name on screen."""

NUMBER_LENGTH = 50
TEXT_LENGTH = 200
REASON_LENGTH = 500

_BELOW = ("/calculation/", "/transactions/")
"""Parts of the addresses of pages below a wallet, which no number may contain."""


def is_number(text: str) -> bool:
    """Whether `text` can be the number of a wallet."""
    return names.is_number(text, _BELOW)


def moved_by(transaction_type: Any, amount: Any) -> Any:
    """The signed change of the balance by a transaction; given columns, the SQL expression."""
    if isinstance(transaction_type, str):
        return -amount if transaction_type in TAKEN_OUT else amount
    return case((transaction_type.in_(TAKEN_OUT), -amount), else_=amount)
