"""What the search of the shell finds of a record that says nothing special: by its name, else by its texts."""

from ..lists.finding import called, kind_of
from ..search.search_results import Findable, SearchResult
from .declaration import Record, Row
from .fields import Text
from .listing import address_of, list_for

LAST = 1_000
"""After what domains say themselves."""


def findable(record: Record) -> Findable:
    """The record as a kind of what the search finds."""
    texts = [field.name for field in record.fields if isinstance(field, Text)]

    def place(row: Row) -> SearchResult:
        name = str(getattr(row, record.argument))
        told = [getattr(row, text, None) for text in texts if text != record.argument]
        return SearchResult(name, address_of(record, row), list(filter(None, told)), names=(name,))

    return kind_of(
        record.domain, record.many, f"{record.domain}.index", lambda user: list_for(record, user),
        rank=LAST, ways=(called(record.name),), reads=(record.argument, *texts), place=place,
    )  # fmt: skip
