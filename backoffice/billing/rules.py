"""What holds for billing wherever it is entered: words, limits and what a document may be."""

from ..base import N_

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
