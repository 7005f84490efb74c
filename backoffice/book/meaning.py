"""Comparing this process's currency and time zone with the book's, at the start of each connection."""

from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from psycopg.errors import UndefinedTable
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..base import money, periods

log = structlog.get_logger("backoffice.book")

APPLICATION = "backoffice"
"""The application name of this app's processes in PostgreSQL."""

_READ = "SELECT currency, business_timezone FROM public.book"


@dataclass(frozen=True)
class Meaning:
    """A currency (ISO 4217) and a business time zone (IANA)."""

    currency: str
    timezone: str

    def __str__(self) -> str:
        return f"The book is kept in {self.currency}, by the days of {self.timezone}."


class MeaningDiffers(psycopg.OperationalError):
    """This process has another currency or time zone than the book, and must not use it.

    It is an error of the driver, so that code that can do without a database for a while treats it as an
    unavailable one.
    """

    def __init__(self, ours: Meaning, book: Meaning | None) -> None:
        self.ours, self.book = ours, book
        super().__init__(_sentence(ours, book))

    @property
    def settings(self) -> list[tuple[str, str, str]]:
        """The settings that differ: name, value here, value in the book (empty where none is recorded)."""
        book = self.book or Meaning("", "")
        named = (
            ("CURRENCY", self.ours.currency, book.currency),
            ("BUSINESS_TIMEZONE", self.ours.timezone, book.timezone),
        )
        return [each for each in named if each[1] != each[2]]


def of_this_process() -> Meaning:
    """The currency and the time zone that this process uses."""
    return Meaning(money.currency(), periods.timezone().key)


def refuse_other_books(engine: Engine) -> None:
    """Refuse every new connection of `engine` to a book with another meaning."""

    @event.listens_for(engine, "connect")
    def _compare(connection: Any, _record: object) -> None:
        try:
            check(connection)
        except BaseException as error:
            if isinstance(error, MeaningDiffers):
                log.error("another book", reason=str(error))
            connection.close()
            raise


def check(connection: psycopg.Connection[Any]) -> None:
    """Compare the meanings over a new connection. Raises MeaningDiffers.

    A database that was never upgraded has no table for it; it is accepted here, as it is not ready anyway.
    """
    try:
        with psycopg.Cursor(connection) as cursor:
            row = cursor.execute(_READ).fetchone()
    except UndefinedTable:
        return
    finally:
        connection.rollback()
    book = None if row is None else Meaning(*row)
    if book != of_this_process():
        raise MeaningDiffers(of_this_process(), book)


def check_at_start(engine: Engine) -> None:
    """Compare the meanings before a process starts work. Raises MeaningDiffers.

    A database that is unavailable now may be available later; each new connection then compares.
    """
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        if (differs := difference_in(error)) is not None:
            raise differs from error
    finally:
        engine.dispose()


def difference_in(error: BaseException) -> MeaningDiffers | None:
    """The MeaningDiffers that is the cause of a database error, if there is one."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return cause if isinstance(cause, MeaningDiffers) else None


def _sentence(ours: Meaning, book: Meaning | None) -> str:
    if book is None:
        return (
            "The database does not say in which currency and business time zone its book is kept. "
            "Record it with: backoffice db upgrade"
        )
    named = (
        ("CURRENCY", "--currency", ours.currency, book.currency),
        ("BUSINESS_TIMEZONE", "--timezone", ours.timezone, book.timezone),
    )
    apart = [each for each in named if each[2] != each[3]]
    differs = " and ".join(
        f"{name} is {here} here, {there} in the book" for name, _, here, there in apart
    )
    settings = " ".join(f"{name}={there}" for name, _, _, there in apart)
    options = " ".join(f"{option} {here}" for _, option, here, _ in apart)
    return (
        f"This process understands the book otherwise than it is kept: {differs}. "
        f"Nothing was read or written. Start with {settings}; or, to change on purpose what the book means: "
        f"backoffice db set-meaning {options} --reason …"
    )
