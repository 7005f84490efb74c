"""What the house refuses: errors that carry their own sentence.

Actions raise them, and know nothing of HTTP; `app/errors.py` turns one that nobody caught into a page,
a toast or JSON, and a view that has a form shows it there. Imports no Flask, so that actions may.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from sqlalchemy.exc import DBAPIError, IntegrityError

from . import N_


class Refusal(Exception):
    """A request that a law of the house refuses. Subclasses are named after that law.

    `sentence` says what is wrong and what to do next, with `%(name)s` where a value belongs; it is
    translated where it is shown. `status` is the HTTP status it becomes. `field` names the field of
    a form that it is about, if it is about one. `type` is the URI of the problem that programs know it by, and
    `members` name those of its values that they read beside the sentence (RFC 9457).
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
    """Something that was entered cannot be; `problems` are sentences, each after the name of its field."""

    sentence = N_(
        "Something of what you sent cannot be saved. Correct these fields, then send it again."
    )

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.problems = problems


class KeyUsedOtherwise(Refusal):
    """A key that came before with another request."""

    sentence = N_("This Idempotency-Key was used before with another request. Send a new one.")


class Stale(Refusal):
    """Another user saved the same record first."""

    sentence = N_(
        "Another user has saved this in the meantime. Look at their version, then save again."
    )
    status = 409


class AnotherRecord(Stale):
    """The number, code or reference under which a record was opened has gone to another one since."""

    sentence = N_(
        "This number now belongs to another record than the one that you opened. Nothing was saved. "
        "Look at which one is shown here before you send it again."
    )


class StillToCome(Refusal):
    """Something of a day after today, which would count today already."""

    sentence = N_(
        "This day is still to come. What is entered counts at once: enter today or an earlier day."
    )


DAYS_LOCKED = "days_locked"
"""What PostgreSQL calls the law that nothing of a locked day changes; its detail is the last such day."""


class Locked(Refusal):
    """A change of something dated in the days that are locked."""

    sentence = N_(
        "The days up to %(until)s are locked: nothing of them is entered, changed or deleted any more. Choose a "
        "later day."
    )
    status = 409

    def at(self, field: str) -> "Locked":
        """The same, shown at that field of a form."""
        self.field = field
        return self


def locked_by(error: DBAPIError, field: str = "") -> Locked | None:
    """What a statement was refused for, if it is that; shown at the `field` of a form."""
    if broken_constraint(error) != DAYS_LOCKED:
        return None
    return Locked(until=getattr(getattr(error.orig, "diag", None), "message_detail", "")).at(field)


@contextmanager
def refused_if_locked(field: str = "") -> Iterator[None]:
    """What PostgreSQL refuses inside because of a locked day is `Locked`, at the `field` of a form."""
    try:
        yield
    except IntegrityError as error:
        if (refusal := locked_by(error, field)) is not None:
            raise refusal from error
        raise


def broken_constraint(error: DBAPIError) -> str:
    """The name of the constraint that a statement broke; empty where it broke none."""
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None) or ""


@contextmanager
def refused_by(constraint: str, refusal: Refusal) -> Iterator[None]:
    """What breaks that constraint inside is `refusal`; whoever was faster is seen only by the database."""
    try:
        yield
    except IntegrityError as error:
        if broken_constraint(error) == constraint:
            raise refusal from error
        raise
