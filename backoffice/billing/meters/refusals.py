"""The refusals of meters and assignments, each with what to do next."""

from ...base import N_
from ...base.refusals import Refusal, Stale


class MeterGone(Refusal):
    """The meter was removed after it was opened."""

    sentence = N_("This meter has been removed in the meantime.")
    status = 404


class MeterChanged(Stale):
    """The meter was saved after it was opened for assigning."""

    sentence = N_(
        "Another user has saved meter %(number)s since you opened it. "
        "Look at what they changed, then save again."
    )


class AssignmentGone(Refusal):
    """The assignment was removed after it was opened."""

    sentence = N_("This assignment has been removed in the meantime.")
    status = 404


class AssignmentChanged(Stale):
    """The assignment was changed after it was opened."""

    sentence = N_(
        "Another user has changed the assignments of meter %(number)s since you opened it. "
        "Look at them as they are now, then repeat your change."
    )


class MeterAssigned(Refusal):
    """Another assignment of the meter is active."""

    sentence = N_(
        "Meter %(number)s is assigned to %(customer)s. "
        "Reassign it from them, or end their assignment first."
    )
    status = 409


class NotAssigned(Refusal):
    """A meter without an active assignment cannot be reassigned."""

    sentence = N_("Meter %(number)s has no customer. Assign it instead.")
    status = 409


class SameCustomer(Refusal):
    """The meter is assigned to that customer already."""

    sentence = N_("Meter %(number)s is assigned to %(customer)s already. Choose another customer.")


class DaysOverlap(Refusal):
    """The days overlap with those of another assignment of the meter."""

    sentence = N_(
        "On some of these days meter %(number)s is assigned to %(customer)s (%(days)s). "
        "Correct one of the two, so that they do not overlap."
    )


class ReassignedTooEarly(Refusal):
    """The reassignment would leave the present assignment without a day."""

    sentence = N_(
        "Meter %(number)s is assigned to %(customer)s from %(day)s on. "
        "Reassign it from a later day, or remove their assignment if it was entered by mistake."
    )


class DayToCome(Refusal):
    """A change of assignment is dated after today, though it takes effect at once."""

    sentence = N_(
        "%(day)s is still to come, and what is owed changes hands at once. "
        "This can be done from that day on."
    )


class BeginsLater(Refusal):
    """An assignment would be active before its first day."""

    sentence = N_(
        "%(day)s is still to come, and an active assignment counts at once. Leave it inactive and "
        "activate it on that day, or let it begin today."
    )


class EndsLater(Refusal):
    """An assignment with a last day after today cannot be deactivated."""

    sentence = N_(
        "The assignment of meter %(number)s runs until %(day)s. "
        "It can be deactivated from that day on, or ended with an earlier day."
    )


class TooMuchOwed(Refusal):
    """A balance would be larger than its column can hold."""

    sentence = N_("This comes to more than can be stored. Check the amounts.")
    field = "amount"


class DaysReversed(Refusal):
    """The last day is before the first one."""

    sentence = N_("The last day is before the first one (%(days)s).")
