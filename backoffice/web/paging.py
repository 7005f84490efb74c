"""Server-side paging: one page of a list, and the numbers of its footer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")

PAGE_SIZE = 50


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Page `number` (from 1) of a list of `total` rows, `size` per page."""

    items: Sequence[Row]
    number: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        """The number of pages; 1 for an empty list."""
        return max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        """Position of the first row shown, from 1; 0 if there is none."""
        return (self.number - 1) * self.size + 1 if self.items else 0

    @property
    def last(self) -> int:
        """Position of the last row shown."""
        return self.first + len(self.items) - 1 if self.items else 0


def page_number(text: str | None) -> int:
    """The page number in a query string: 1 for anything that is not a valid number."""
    if text and text.isascii() and text.isdigit() and len(text) <= 6:
        return max(1, int(text))
    return 1
