"""Stores many readings at once; finds days that are taken, and average volumes. Never commits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Date, Numeric, column, func, insert, literal, select
from sqlalchemy.orm import Session

from ... import figures
from ...base import N_
from ...base.periods import Month
from ...base.refusals import Refusal, refused_if_locked
from ..figures import monthly
from ..models import Reading
from ..rules import month_of

LOOKED_AT = 12
"""Earlier readings of a customer in the average; with fewer than `FEW` there is none."""

FEW = 3

TIMES = 3
"""A volume above the average times this, or below the average divided by this, is unusual."""


@dataclass(frozen=True)
class NewReading:
    """A reading to be stored: the volume that a customer's meter counted, in m³."""

    customer_id: int
    read_on: date
    metered_volume: Decimal

    @property
    def place(self) -> tuple[int, date]:
        """The unique key of a reading."""
        return self.customer_id, self.read_on


class DaysTaken(Refusal):
    """These customers have readings on these days already. `taken` has their volumes."""

    sentence = N_(
        "%(count)s of these days have a reading already. Nothing was saved: change those readings, or leave them out."
    )
    status = 409

    def __init__(self, taken: Mapping[tuple[int, date], Decimal]) -> None:
        super().__init__(count=len(taken))
        self.taken = taken


def store(session: Session, readings: Sequence[NewReading]) -> int:
    """Store the readings, all or none; answers how many. Raises DaysTaken, Locked."""
    figures.hold(session, monthly, sorted({new.customer_id for new in readings}))
    if taken := taken_of(session, readings):
        raise DaysTaken(taken)
    rows = _rows(readings)
    names = ["customer_id", "read_on", "metered_volume"]
    made = insert(Reading).from_select(names, select(*(rows.c[name] for name in names)))
    with refused_if_locked():
        session.execute(made)
    return len(readings)


def taken_of(session: Session, readings: Sequence[NewReading]) -> dict[tuple[int, date], Decimal]:
    """The stored readings of these customers and days, with their volumes."""
    rows = _rows(readings)
    is_same = (Reading.customer_id == rows.c.customer_id) & (Reading.read_on == rows.c.read_on)
    found = select(Reading.customer_id, Reading.read_on, Reading.metered_volume)
    stored = session.execute(found.join(rows, is_same)).all() if readings else ()
    return {(customer, day): volume for customer, day, volume in stored}


def days_read(
    session: Session, month: Month, customer_ids: Iterable[int]
) -> dict[int, tuple[int, date]]:
    """The number of readings in the month and the last day, by customer; customers without any are left out."""
    r = Reading
    of_month = r.customer_id == func.any(list(customer_ids)), month_of(r.read_on) == str(month)
    found = select(r.customer_id, func.count(), func.max(r.read_on)).where(*of_month)
    rows = session.execute(found.group_by(r.customer_id))
    return {customer: (count, day) for customer, count, day in rows}


def usual_of(session: Session, readings: Sequence[NewReading]) -> dict[tuple[int, date], Decimal]:
    """The average volume of these customers' earlier readings, where there are enough."""
    if not readings:
        return {}
    rows = _rows(readings)
    earlier = (
        select(Reading.metered_volume)
        .where(Reading.customer_id == rows.c.customer_id, Reading.read_on < rows.c.read_on)
        .order_by(Reading.read_on.desc())
        .limit(LOOKED_AT)
        .lateral("earlier")
    )
    average = func.round(func.avg(earlier.c.metered_volume), 3, type_=Numeric(15, 3))
    found = (
        select(rows.c.customer_id, rows.c.read_on, average)
        .join_from(rows, earlier, literal(True))
        .group_by(rows.c.customer_id, rows.c.read_on)
        .having(func.count() >= FEW)
    )
    return {(customer, day): usual for customer, day, usual in session.execute(found)}


def metered_total(readings: Iterable[NewReading]) -> Decimal:
    """The total volume of readings, in m³."""
    return sum((new.metered_volume for new in readings), Decimal(0))


def is_unusual(volume: Decimal, usual: Decimal) -> bool:
    """Whether a volume is far from the usual one."""
    return volume > usual * TIMES or volume * TIMES < usual


def _rows(readings: Sequence[NewReading]) -> Any:
    """The readings as a table."""
    arrays = (
        literal([new.customer_id for new in readings], ARRAY(BigInteger)),
        literal([new.read_on for new in readings], ARRAY(Date)),
        literal([new.metered_volume for new in readings], ARRAY(Numeric(15, 3))),
    )
    names = (
        column("customer_id", BigInteger),
        column("read_on", Date),
        column("metered_volume", Numeric(15, 3)),
    )
    return func.unnest(*arrays).table_valued(*names, name="typed").render_derived()
