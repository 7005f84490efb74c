"""The longest texts that forms accept, by table and column: the database refuses longer ones too."""

from collections.abc import Iterable, Iterator

from sqlalchemy import MetaData

from .declaration import Record
from .fields import Field, Text

LONGEST = "longest"
"""The key of a column's `info` for a limit that no record's field declares, or that is larger than the field's."""


def text_limits(records: Iterable[Record], metadata: MetaData) -> dict[str, dict[str, int]]:
    """Table → column → the most characters, of every text that a form limits."""
    found: dict[str, dict[str, int]] = {}

    def limit(table: str, column: str, longest: int) -> None:
        columns = found.setdefault(table, {})
        columns[column] = max(longest, columns.get(column, 0))

    for table in metadata.sorted_tables:
        for column in table.columns:
            if LONGEST in column.info:
                limit(table.name, column.name, column.info[LONGEST])
    for record in records:
        for field in _fields_of(record):
            if isinstance(field, Text):
                [column] = field.column.property.columns
                limit(column.table.name, column.name, field.longest)
    return found


def _fields_of(record: Record) -> Iterator[Field]:
    yield from (*record.fields, *record.kept, *record.new_fields)
    for verb in record.verbs:
        yield from verb.fields
    for shown in record.shown:
        yield from shown.fields
    for held in record.contents:
        yield from _fields_of(held.record)
