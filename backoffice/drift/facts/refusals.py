"""The refusals of decisions about facts."""

from ...base import N_
from ...base.refusals import Refusal, Stale


class NoSuchFinding(Refusal):
    """There is no finding of a fact with that number."""

    sentence = N_("%(finding)s is the number of no finding about facts.")
    status = 404


class WithoutReason(Refusal):
    """A decision about facts needs a reason."""

    sentence = N_("Say why. The reason is kept with the decision.")


class DifferentByNow(Stale):
    """The row, or its state in the trail, has changed since the person looked at it."""

    sentence = N_(
        "The row has changed since you looked at it, or a user has decided about it. "
        "Look at it again, then decide."
    )


class CannotRestore(Refusal):
    """The database refuses to let the row be restored from the trail."""

    sentence = N_("The row cannot be restored: the database has made something else of it.")
    status = 409


class ReferredTo(CannotRestore):
    """A foreign key refers to the row."""

    sentence = N_(
        "The row cannot be restored: another row refers to it, or what it refers to is gone. "
        "Decide about that one first."
    )


class OthersBelong(CannotRestore):
    """Other rows would be deleted with it."""

    sentence = N_(
        "The row cannot be restored: other rows belong to it, and would go with it. "
        "Decide about those first."
    )


class Taken(CannotRestore):
    """A unique constraint is violated."""

    sentence = N_("The row cannot be restored: another row has its number, or its place, by now.")


class NotInTheTrail(CannotRestore):
    """The trail has no value for a column that may not be NULL."""

    sentence = N_(
        "The row cannot be restored: the trail does not hold a value that every row must have, "
        "such as a password."
    )


class NotAllowed(CannotRestore):
    """A CHECK is violated."""

    sentence = N_(
        "The row cannot be restored: the trail's values are not among those that the table allows."
    )


class NotPermitted(CannotRestore):
    """A privilege is missing, or the table is append-only."""

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
"""SQL state → the refusal of restoring a row."""
