"""Whether an error means that the database does not answer, or that it answered and refused."""

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_UNREACHABLE = {
    "3D000",  # there is no such database (now)
    "53300",  # too many connections
    "57P01",  # the server is shutting down
    "57P02",
    "57P03",  # the server is starting
    "57P04",  # the database was dropped
}
"""SQLSTATEs of a server that takes no connection, or has ended one."""


def is_unreachable(error: BaseException) -> bool:
    """Whether the database does not answer: there is no connection, or it was lost."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    sqlstate: str = getattr(error.orig, "sqlstate", None) or ""
    never_answered = isinstance(error, OperationalError) and not sqlstate
    is_lost = never_answered or error.connection_invalidated or sqlstate.startswith("08")
    return is_lost or sqlstate in _UNREACHABLE


def database_error_of(error: BaseException | None) -> DBAPIError | None:
    """The error of the database that this one is or follows from; None: it is another error.

    After a lost connection the rollback of a savepoint fails too, with an error of SQLAlchemy's own
    (PendingRollbackError) that hides the loss.
    """
    while error is not None and not isinstance(error, DBAPIError):
        error = (
            (error.__cause__ or error.__context__) if isinstance(error, SQLAlchemyError) else None
        )
    return error


def refusal(error: BaseException) -> str:
    """What the database said, in a line."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
