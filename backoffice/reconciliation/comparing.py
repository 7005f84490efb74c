"""A figure compared with its expected values, for a screen: control totals, and the largest differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import BigInteger, cast, column, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from ..base import periods
from ..figures.models import Correction
from ..web.record_links import Place, name_of_one_in_sql
from .forms import Asked
from .report import Report, Totals, new_totals

SHOWN = 50
"""How many differences a screen shows; a file has all of them."""


@dataclass(frozen=True)
class Difference:
    """One line of a report with a difference."""

    place: Place
    column: str
    stored: Any
    expected: Any
    difference: Any


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison: control totals by column, and the largest differences."""

    totals: Mapping[str, Totals]
    differences: Sequence[Difference]

    @property
    def drifted(self) -> int:
        """The number of lines with a difference."""
        return sum(total.drifted for total in self.totals.values())

    @property
    def is_right(self) -> bool:
        """Whether everything ties out."""
        return self.drifted == 0


class _Line(Protocol):
    owner: int
    key: Mapping[str, Any]
    column: str
    stored: Any
    expected: Any
    difference: Any


def compared(report: Report) -> Comparison:
    """The comparison of everything that the report covers, from its snapshot."""
    totals, wrong = new_totals(report.figure), list[_Line]()
    for page in report.pages():
        sums = report.totals(page)
        for name, found in sums.items():
            totals[name].add(found)
        if any(found["drifted"] for found in sums.values()):
            wrong = sorted([*wrong, *report.differences(page, SHOWN)], key=_size)[:SHOWN]
    names = _names(report, wrong)
    return Comparison(
        totals, [_difference(line, name) for line, name in zip(wrong, names, strict=True)]
    )


def _size(line: _Line) -> Any:
    return -abs(line.difference or 0), line.owner


def _difference(line: _Line, name: str) -> Difference:
    place = Place(line.owner, line.key, name)
    return Difference(place, line.column, line.stored, line.expected, line.difference)


def _names(report: Report, lines: Sequence[_Line]) -> list[str]:
    """The names of the records of these lines; empty for a deleted record."""
    reported = literal([{"owner": line.owner, "key": line.key} for line in lines], JSONB)
    rows = (
        func.jsonb_array_elements(reported)
        .table_valued(column("value", JSONB), with_ordinality="place", name="rows")
        .render_derived()
    )
    owner, key = cast(rows.c.value["owner"].astext, BigInteger), rows.c.value["key"]
    name = name_of_one_in_sql(report.figure.name, owner, key)
    found = select(name).select_from(rows).order_by(rows.c.place)
    return [name or "" for name in report.connection.scalars(found)]


def corrections_of(session: Session, asked: Asked) -> list[Any]:
    """The number of corrections in the period, by cause."""
    wanted = [Correction.figure == asked.figure.name]
    if asked.owners is not None:
        wanted.append(Correction.owner.in_(asked.owners))
    if asked.since:
        wanted.append(Correction.at >= periods.start_of(asked.since))
    if asked.until:
        wanted.append(Correction.at < periods.end_of(asked.until))
    counts = select(Correction.cause, func.count().label("count")).where(*wanted)
    return list(session.execute(counts.group_by(Correction.cause).order_by(Correction.cause)))
