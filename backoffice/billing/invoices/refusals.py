"""The refusals of invoices, each with what to do instead."""

from ...base import N_
from ...base.refusals import Refusal


class NothingOwed(Refusal):
    """The amount is 0 or below."""

    sentence = N_(
        "An invoice comes to more than zero. Enter units and a rate, or the amount as a whole."
    )


class TooLarge(Refusal):
    """The amount is larger than the column can hold."""

    sentence = N_("This comes to more than can be stored. Check the units and the rate.")


class NegativeCharge(Refusal):
    """Units, the rate or the fixed charge are below zero."""

    sentence = N_("This cannot be negative. What is forgiven is an adjustment of the meter.")


class UnitsMissing(Refusal):
    """A rate is given without units."""

    sentence = N_("Enter the units that the rate is for, or clear the rate.")


class RateMissing(Refusal):
    """Units are given without a rate."""

    sentence = N_("Enter a rate for the units.")


class ChargeWithoutUnits(Refusal):
    """A fixed charge is given beside an amount that is entered as a whole."""

    sentence = N_(
        "Without units the amount is entered as a whole. Put the fixed charge into it, or enter units and a rate."
    )


class DueBeforeIssued(Refusal):
    """The due date is before the invoice is issued."""

    sentence = N_("This is before the invoice is issued. Choose that day or a later one.")


class LessThanPaid(Refusal):
    """The amount is below what was paid on the invoice."""

    sentence = N_(
        "Payments of %(paid)s name this invoice, so it cannot come to less. Void or move a payment first."
    )


class PaymentsGoAlong(Refusal):
    """The meter or customer of an invoice that payments name was changed."""

    sentence = N_(
        "Payments name this invoice and have to go with it. Use “Move to another meter” on the invoice instead."
    )


class MoveNeedsApproval(Refusal):
    """The meter or customer was changed, and the move needs approval."""

    sentence = N_(
        "Another user has to approve this move. Use “Move to another meter” on the invoice instead."
    )


class VoidStaysVoid(Refusal):
    """A void invoice was changed."""

    sentence = N_("Invoice %(number)s is void and stays as it is. Enter a new invoice instead.")


class ReasonMissing(Refusal):
    """An invoice was voided without a reason."""

    sentence = N_("Say why the invoice is void. The reason is kept with it.")
    field = "reason"


class SameMeter(Refusal):
    """The invoice was moved to the meter it is on."""

    sentence = N_("Invoice %(number)s is on that meter already. Choose another meter.")
    field = "meter"
