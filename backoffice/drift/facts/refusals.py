"""What is refused of decisions about facts."""

from ...base import N_
from ...base.refusals import Refusal, Stale


class NoSuchFinding(Refusal):
    """There is no finding of a fact of that number."""

    sentence = N_("%(finding)s is the number of no finding about facts.")
    status = 404


class WithoutReason(Refusal):
    """A decision about facts says why."""

    sentence = N_("Say why. The reason is kept with the decision.")


class DifferentByNow(Stale):
    """The row, or what the trail says of it, is not what was looked at."""

    sentence = N_(
        "The row has changed since you looked at it, or a user has decided about it. "
        "Look at it again, then decide."
    )


class CannotRestore(Refusal):
    """The database keeps the row from being as the trail has it."""

    sentence = N_("The row cannot be restored: the database has made something else of it.")
    status = 409


class ReferredTo(CannotRestore):
    """A foreign key."""

    sentence = N_(
        "The row cannot be restored: another row refers to it, or what it refers to is gone. "
        "Decide about that one first."
    )


class OthersBelong(CannotRestore):
    """Rows that would be deleted with it."""

    sentence = N_(
        "The row cannot be restored: other rows belong to it, and would go with it. "
        "Decide about those first."
    )


class Taken(CannotRestore):
    """A unique constraint."""

    sentence = N_("The row cannot be restored: another row has its number, or its place, by now.")


class NotInTheTrail(CannotRestore):
    """A column that must hold something."""

    sentence = N_(
        "The row cannot be restored: the trail does not hold a value that every row must have, "
        "such as a password."
    )


class NotAllowed(CannotRestore):
    """A CHECK."""

    sentence = N_(
        "The row cannot be restored: the trail's values are not among those that the table allows."
    )


class NotPermitted(CannotRestore):
    """A privilege, or a table that is append-only."""

    sentence = N_(
        "Backoffice's own database role may not write such rows. Whoever owns the database puts it right."
    )


BY_STATE: dict[str, type[CannotRestore]] = {
    "23503": ReferredTo,
    "23001": ReferredTo,
    "23505": Taken,
    "23502": NotInTheTrail,
    "23514": NotAllowed,
    "42501": NotPermitted,
}
"""SQL state → why a row could not be restored."""
