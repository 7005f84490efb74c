"""What is refused of an invoice, each with what to do instead."""

from ...base import N_
from ...base.refusals import Refusal


class NothingOwed(Refusal):
    """An invoice of nothing, or of less."""

    sentence = N_(
        "An invoice comes to more than zero. Enter units and a rate, or the amount as a whole."
    )


class TooLarge(Refusal):
    """An amount that the column cannot hold."""

    sentence = N_("This comes to more than can be stored. Check the units and the rate.")


class NegativeCharge(Refusal):
    """Units, a rate or a charge below zero."""

    sentence = N_("This cannot be negative. What is forgiven is an adjustment of the meter.")


class UnitsMissing(Refusal):
    """A rate without units."""

    sentence = N_("Enter the units that the rate is for, or clear the rate.")


class RateMissing(Refusal):
    """Units without a rate."""

    sentence = N_("Enter a rate for the units.")


class ChargeWithoutUnits(Refusal):
    """A fixed charge beside an amount that is entered as a whole."""

    sentence = N_(
        "Without units the amount is entered as a whole. Put the fixed charge into it, or enter units and a rate."
    )


class DueBeforeIssued(Refusal):
    """A due date before the invoice was issued."""

    sentence = N_("This is before the invoice is issued. Choose that day or a later one.")


class LessThanPaid(Refusal):
    """An amount below what was paid on the invoice."""

    sentence = N_(
        "Payments of %(paid)s name this invoice, so it cannot come to less. Void or move a payment first."
    )


class PaymentsGoAlong(Refusal):
    """Another meter or customer for an invoice that payments name."""

    sentence = N_(
        "Payments name this invoice and have to go with it. Use “Move to another meter” on the invoice instead."
    )


class MoveNeedsApproval(Refusal):
    """Another meter or customer where two people look at the move."""

    sentence = N_(
        "Another user has to approve this move. Use “Move to another meter” on the invoice instead."
    )


class VoidStaysVoid(Refusal):
    """A change of an invoice that is void."""

    sentence = N_("Invoice %(number)s is void and stays as it is. Enter a new invoice instead.")


class ReasonMissing(Refusal):
    """A void invoice says why."""

    sentence = N_("Say why the invoice is void. The reason is kept with it.")
    field = "reason"


class SameMeter(Refusal):
    """A move to where the invoice is."""

    sentence = N_("Invoice %(number)s is on that meter already. Choose another meter.")
    field = "meter"
