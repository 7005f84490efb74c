"""What is refused of meters and of whose they are, each with what to do next."""

from ...base import N_
from ...base.refusals import Refusal, Stale


class MeterGone(Refusal):
    """The meter was removed after it was opened."""

    sentence = N_("This meter has been removed in the meantime.")
    status = 404


class MeterChanged(Stale):
    """A user saved the meter after it was shown to whoever assigns it."""

    sentence = N_(
        "Another user has saved meter %(number)s since you opened it. "
        "Look at what they changed, then save again."
    )


class AssignmentGone(Refusal):
    """The assignment was removed after it was opened."""

    sentence = N_("This assignment has been removed in the meantime.")
    status = 404


class AssignmentChanged(Stale):
    """A user changed the assignment after it was opened."""

    sentence = N_(
        "Another user has changed the assignments of meter %(number)s since you opened it. "
        "Look at them as they are now, then repeat your change."
    )


class MeterAssigned(Refusal):
    """A meter is actively one customer's at most."""

    sentence = N_(
        "Meter %(number)s is assigned to %(customer)s. "
        "Reassign it from them, or end their assignment first."
    )
    status = 409


class NotAssigned(Refusal):
    """Only a meter that a customer has is reassigned."""

    sentence = N_("Meter %(number)s has no customer. Assign it instead.")
    status = 409


class SameCustomer(Refusal):
    """A meter is not reassigned to whom it is assigned already."""

    sentence = N_("Meter %(number)s is assigned to %(customer)s already. Choose another customer.")


class DaysOverlap(Refusal):
    """On one day a meter is one customer's."""

    sentence = N_(
        "On some of these days meter %(number)s is assigned to %(customer)s (%(days)s). "
        "Correct one of the two, so that they do not overlap."
    )


class ReassignedTooEarly(Refusal):
    """Who has a meter now has it for a day at least."""

    sentence = N_(
        "Meter %(number)s is assigned to %(customer)s from %(day)s on. "
        "Reassign it from a later day, or remove their assignment if it was entered by mistake."
    )


class DayToCome(Refusal):
    """Whose a meter is changes at once, and with it what is owed today."""

    sentence = N_(
        "%(day)s is still to come, and what is owed changes hands at once. "
        "This can be done from that day on."
    )


class BeginsLater(Refusal):
    """An assignment that is still to come is not active yet."""

    sentence = N_(
        "%(day)s is still to come, and an active assignment counts at once. Leave it inactive and "
        "activate it on that day, or let it begin today."
    )


class EndsLater(Refusal):
    """An assignment that still runs is not deactivated."""

    sentence = N_(
        "The assignment of meter %(number)s runs until %(day)s. "
        "It can be deactivated from that day on, or ended with an earlier day."
    )


class TooMuchOwed(Refusal):
    """Balances that the columns cannot hold."""

    sentence = N_("This comes to more than can be stored. Check the amounts.")
    field = "amount"


class DaysReversed(Refusal):
    """An assignment does not end before it begins."""

    sentence = N_("The last day is before the first one (%(days)s).")
