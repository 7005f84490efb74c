"""Recording the book's meaning, changing it, and locking days, as the owner's role. The callers commit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Numeric,
    column,
    func,
    insert,
    select,
    text,
    true,
    update,
)
from sqlalchemy import table as table_named

from ..base import N_, Base, table_of
from ..base.currencies import MINOR_UNITS
from ..base.refusals import Refusal
from ..figures import registry
from ..figures.computing import definitions
from ..figures.models import FigureNote
from .locks import hold_alone
from .meaning import APPLICATION, Meaning, MeaningDiffers, of_this_process
from .models import Book

BOOK = table_of(Book)

_ACTIVITY = table_named(
    "pg_stat_activity", column("pid"), column("datname"), column("application_name")
)


class NotCounted(Refusal):
    """Days cannot be locked while writes to them are not yet counted in the figures."""

    sentence = N_(
        "Changes of other programs are not counted yet. Try again in a moment; where that lasts, run: "
        "backoffice figures heal --noted"
    )


class InUse(Refusal):
    """Processes that use the present meaning are still connected."""

    sentence = N_(
        "%(count)s connections of running processes are open. Stop web, workers and scheduler first: "
        "they compute by what the book means now."
    )


@dataclass(frozen=True)
class MeaningChange:
    """A change of meaning. `fractions` counts entered amounts, by column, that the new currency cannot have."""

    before: Meaning
    after: Meaning
    fractions: Mapping[str, int]


def meaning_of(connection: Connection) -> Meaning | None:
    """The stored meaning; None before the first upgrade."""
    row = connection.execute(select(BOOK.c.currency, BOOK.c.business_timezone)).first()
    return None if row is None else Meaning(*row)


def refuse_another(connection: Connection) -> None:
    """Raises MeaningDiffers where the stored meaning differs from this process's settings.

    A book without a recorded meaning is accepted: no other process has claimed it.
    """
    has_table = connection.scalar(select(func.to_regclass(BOOK.name))) is not None
    ours, book = of_this_process(), meaning_of(connection) if has_table else None
    if book is not None and book != ours:
        raise MeaningDiffers(ours, book)


def record_first(connection: Connection) -> bool:
    """Record this process's meaning in a book that has none yet; returns whether it had none."""
    if meaning_of(connection) is not None:
        return False
    ours = of_this_process()
    values = {"currency": ours.currency, "business_timezone": ours.timezone}
    connection.execute(insert(BOOK).values(id=1, reason="First upgrade.", **values))
    return True


def planned(connection: Connection, currency: str | None, timezone: str | None) -> MeaningChange:
    """Preview a change of currency or time zone; writes nothing.

    Raises MeaningDiffers before the first upgrade.
    """
    before = meaning_of(connection)
    if before is None:
        raise MeaningDiffers(of_this_process(), None)
    after = Meaning(currency or before.currency, timezone or before.timezone)
    is_finer = MINOR_UNITS[before.currency] > MINOR_UNITS[after.currency]
    return MeaningChange(before, after, _fractions(connection, after.currency) if is_finer else {})


def set_meaning(
    connection: Connection, currency: str | None, timezone: str | None, reason: str
) -> MeaningChange:
    """Change the book's meaning and mark every figure for recomputation. Raises InUse.

    A process that connects meanwhile waits for this transaction, and compares with the new meaning.
    """
    connection.execute(text("LOCK TABLE book IN ACCESS EXCLUSIVE MODE"))
    change = planned(connection, currency, timezone)
    if change.after == change.before:
        return change
    if count := _others(connection):
        raise InUse(count=count)
    connection.execute(
        update(BOOK).values(
            currency=change.after.currency, business_timezone=change.after.timezone,
            reason=reason, set_at=func.now(),
        )
    )  # fmt: skip
    definitions.forget(connection, registry, registry.bundle_names)
    return change


def lock_days(connection: Connection, until: date | None, reason: str) -> None:
    """Lock all days up to `until`, inclusive, so that rows dated on them cannot be written; None opens every day.

    Raises NotCounted: writes that are not counted yet would stay out of totals that are not rewritten any more.
    """
    hold_alone(connection)
    if until is not None and connection.scalar(select(func.count()).select_from(FigureNote)):
        raise NotCounted()
    connection.execute(update(BOOK).values(locked_until=until, reason=reason, set_at=func.now()))


def _others(connection: Connection) -> int:
    here = _ACTIVITY.c.datname == func.current_database()
    other = _ACTIVITY.c.pid != func.pg_backend_pid()
    ours = _ACTIVITY.c.application_name == APPLICATION
    count = select(func.count()).select_from(_ACTIVITY).where(here, other, ours)
    return connection.scalar(count) or 0


def _fractions(connection: Connection, currency: str) -> dict[str, int]:
    """By column, the number of entered amounts of money with more decimals than `currency` has."""
    unit = MINOR_UNITS[currency]
    found: dict[str, int] = {}
    for table in Base.metadata.sorted_tables:
        for amount in table.columns:
            if (is_entered := _is_entered_money(amount)) is None:
                continue
            some = select(func.count()).where(is_entered, amount != func.round(amount, unit))
            if count := connection.scalar(some) or 0:
                found[f"{table.name}.{amount.key}"] = count
    return found


def _is_entered_money(amount: Column[Any]) -> ColumnElement[bool] | None:
    """The condition under which a column holds an amount that a user entered; None if it never does."""
    kind = amount.type
    if not isinstance(kind, Numeric) or (kind.precision, kind.scale) != (15, 2):
        return None
    keeper = registry.keeper(amount)
    return true() if keeper is None else keeper.entered.get(amount)
