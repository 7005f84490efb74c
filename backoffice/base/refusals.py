"""Refusals: errors with a sentence for the user.

Actions raise them, and know nothing of HTTP; `app/errors.py` turns an uncaught one into a page, a toast or JSON, and a
view with a form shows it there. Imports no Flask, so that actions can import it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from sqlalchemy.exc import DBAPIError, IntegrityError

from . import N_

NOT_A_DAY = N_("%(text)s is not a day from 1900 to 2199. Choose another one.")
"""The message for a typed day that `periods.read_day` does not accept."""


class Refusal(Exception):
    """A request that a rule refuses. Subclasses are named after that rule.

    `sentence` says what is wrong and what to do next, with `%(name)s` placeholders; it is translated where it is shown.
    `status` is its HTTP status. `field` names the form field that it is about, if any. `type` is its problem type URI,
    and `members` name the values that its problem details include (RFC 9457).
    """

    sentence: str = N_("That is not possible here.")
    status: ClassVar[int] = 422
    type: ClassVar[str] = "about:blank"
    members: ClassVar[tuple[str, ...]] = ()
    field: str = ""

    def __init__(self, **values: object) -> None:
        self.values = values
        super().__init__(self.sentence % values)


class Invalid(Refusal):
    """Invalid input; `problems` are pairs of field name and sentence."""

    sentence = N_(
        "Something of what you sent cannot be saved. Correct these fields, then send it again."
    )

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.problems = problems


class KeyUsedOtherwise(Refusal):
    """An idempotency key that was used with another request."""

    sentence = N_("This Idempotency-Key was used before with another request. Send a new one.")


class Stale(Refusal):
    """A save of a record that another user has saved first."""

    sentence = N_(
        "Another user has saved this in the meantime. Look at their version, then save again."
    )
    status = 409


class AnotherRecord(Stale):
    """A save under a number, code or reference that belongs to another record since the form was opened."""

    sentence = N_(
        "This number now belongs to another record than the one that you opened. Nothing was saved. "
        "Look at which one is shown here before you send it again."
    )


class StillToCome(Refusal):
    """An entry dated in the future, which would count at once."""

    sentence = N_(
        "This day is still to come. What is entered counts at once: enter today or an earlier day."
    )


DAYS_LOCKED = "days_locked"
"""The constraint name that triggers raise for a change on a locked day; the detail is the last locked day."""


class Locked(Refusal):
    """A change of a row dated on a locked day."""

    sentence = N_(
        "The days up to %(until)s are locked: nothing of them is entered, changed or deleted any more. Choose a "
        "later day."
    )
    status = 409

    def at(self, field: str) -> "Locked":
        """This refusal, shown at that field of a form."""
        self.field = field
        return self


def locked_by(error: DBAPIError, field: str = "") -> Locked | None:
    """`Locked`, at the `field` of a form, if that is why PostgreSQL refused a statement; else None."""
    if broken_constraint(error) != DAYS_LOCKED:
        return None
    return Locked(until=getattr(getattr(error.orig, "diag", None), "message_detail", "")).at(field)


@contextmanager
def refused_if_locked(field: str = "") -> Iterator[None]:
    """Turn PostgreSQL's refusal of a locked day within the block into `Locked`, at the `field` of a form."""
    try:
        yield
    except IntegrityError as error:
        if (refusal := locked_by(error, field)) is not None:
            raise refusal from error
        raise


def broken_constraint(error: DBAPIError) -> str:
    """The name of the constraint that a statement violated; empty where it violated none."""
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None) or ""


@contextmanager
def refused_by(constraint: str, refusal: Refusal) -> Iterator[None]:
    """Turn a violation of that constraint within the block into `refusal`, for conflicts between concurrent saves."""
    try:
        yield
    except IntegrityError as error:
        if broken_constraint(error) == constraint:
            raise refusal from error
        raise
