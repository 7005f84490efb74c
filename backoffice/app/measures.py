"""What is measured: each domain declares its measures, and `/metrics` reads all of them.

Names no domain; imported by domains. A source is read inside one read-only snapshot of the database,
together with all others and within two seconds for all: so its queries need only an index or a few thousand rows,
however large the tables grow.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection

Number = int | float | Decimal


@dataclass(frozen=True)
class Measure:
    """One metric of Prometheus: its name, its help text, and the labels that distinguish its readings.

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
    """The measures of one part of the product, and the function that reads them."""

    name: str
    measures: tuple[Measure, ...]
    read: Read
