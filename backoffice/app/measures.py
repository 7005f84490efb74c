"""What is measured: each domain declares what it can tell of itself, and `/metrics` asks all of them.

Names no domain; imported by domains. A source is read inside one read-only snapshot of the database,
together with all others and within two seconds for all: it asks what an index or a few thousand rows
can answer, whatever the tables grow to.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection

Number = int | float | Decimal


@dataclass(frozen=True)
class Measure:
    """One metric, as Prometheus has it: its name, what it means, and what tells its readings apart.

    A counter only grows; everything else is a gauge.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"

    def is_now(self, value: Number, *labels: str) -> "Reading":
        """A reading, with the values of the labels in their order."""
        return Reading(self, value, labels)


@dataclass(frozen=True)
class Reading:
    """The value of a measure now."""

    measure: Measure
    value: Number
    labels: tuple[str, ...]


Read = Callable[[Connection], Iterable[Reading]]


@dataclass(frozen=True)
class Source:
    """What one part of the product tells of itself, by one function."""

    name: str
    measures: tuple[Measure, ...]
    read: Read
