"""The reconciliation of a figure: every row, stored beside expected, with control totals."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from .declaration import Figure
from .registry import Registry
from .relations import BETWEEN, Relations
from .statements import Statement, changes, expanded
from .verification import next_owners

PAGE = 20_000
"""Owners read in one statement, so that memory stays the same however many there are."""


@dataclass
class Totals:
    """Control totals of one column: rows, and the sums of what is stored and what is expected."""

    rows: int = 0
    drifted: int = 0
    stored: Decimal = field(default_factory=Decimal)
    expected: Decimal = field(default_factory=Decimal)

    @property
    def difference(self) -> Decimal:
        """Expected minus stored: what a heal would add."""
        return self.expected - self.stored

    @property
    def is_right(self) -> bool:
        """Whether nothing drifted."""
        return self.drifted == 0


@dataclass(frozen=True)
class Line:
    """One column of one figure row."""

    owner: int
    key: tuple[Any, ...]
    column: str
    stored: Any
    expected: Any

    @property
    def is_right(self) -> bool:
        """Whether nothing drifted."""
        return bool(self.stored == self.expected)

    @property
    def difference(self) -> Any:
        """Expected minus stored; None of what is no number."""
        return _number(self.expected) - _number(self.stored) if self.is_number else None

    @property
    def is_number(self) -> bool:
        """Whether this column can be added up."""
        return all(isinstance(v, int | Decimal | None) for v in (self.stored, self.expected))


def reconcile(
    engine: Engine, registry: Registry, figure: Figure, totals: dict[str, Totals]
) -> Iterator[Line]:
    """Every row of `figure` by owner; fills `totals`, by column, as it goes.

    Read page by page in read-only REPEATABLE READ snapshots. A missing row is stored as None, a
    surplus row expected as None; both count as zero in the totals.
    """
    bundle = registry.bundle_of(figure)
    relations = Relations(registry, expanded(registry))
    rows = changes(relations, figure.table, (figure,), BETWEEN, all_rows=True)
    statement = Statement(rows.order_by("owner", *(f"k{i}" for i in range(len(figure.key)))))
    after = None
    while True:
        with engine.connect() as plain:
            connection = plain.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            bounds = next_owners(connection, bundle, after, PAGE)
            if bounds is None:
                return
            low, after, _ = bounds
            for row in statement.run(connection, low=low, high=after).mappings():
                yield from _lines(figure, row, totals)


def _lines(figure: Figure, row: Any, totals: dict[str, Totals]) -> Iterator[Line]:
    key = tuple(row[f"k{i}"] for i in range(len(figure.key)))
    for i, col in enumerate(figure.columns):
        stored = None if row["missing"] else row[f"s{i}"]
        expected = None if row["surplus"] else row[f"e{i}"]
        line = Line(row["owner"], key, col.key, stored, expected)
        total = totals.setdefault(col.key, Totals())
        total.rows += 1
        total.drifted += not line.is_right
        if line.is_number:
            total.stored += _number(stored)
            total.expected += _number(expected)
        yield line


def _number(value: Any) -> Decimal:
    return Decimal(value or 0)
