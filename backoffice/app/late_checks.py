"""The CHECKs that follow from declarations: of dates, and of the longest texts that forms accept."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..base import Base
from ..database import checks
from .domain import declared

if TYPE_CHECKING:
    from ..records import Record
    from ..records.fields import Field

LONGEST = "longest"
"""The key of a column's `info` for a limit that no record's field declares, or that is larger than the field's."""


def late_checks() -> list[checks.LateCheck]:
    """The CHECKs of every table."""
    return [
        *checks.calendar_checks(Base.metadata),
        *checks.length_checks(Base.metadata, text_limits()),
    ]


def text_limits() -> dict[str, dict[str, int]]:
    """Table → column → the most characters, of every text that a form limits."""
    found: dict[str, dict[str, int]] = {}

    def limit(table: str, column: str, longest: int) -> None:
        columns = found.setdefault(table, {})
        columns[column] = max(longest, columns.get(column, 0))

    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if LONGEST in column.info:
                limit(table.name, column.name, column.info[LONGEST])
    for record in declared().records.values():
        for field in _fields_of(record):
            if (longest := getattr(field, "longest", 0)) > 0:
                [column] = field.column.property.columns
                limit(column.table.name, column.name, longest)
    return found


def _fields_of(record: "Record") -> "Iterator[Field]":
    yield from (*record.fields, *record.kept, *record.new_fields)
    for verb in record.verbs:
        yield from verb.fields
    for shown in record.shown:
        yield from shown.fields
    for held in record.contents:
        yield from _fields_of(held.record)
