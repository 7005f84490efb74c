"""Lists that people live in: columns, filters, totals of the whole filter, saved views, exports.

A domain names its columns and filters once (`List`); `show` is its screen. docs/lists.md says how.
"""

from .declaration import Column, List
from .filters import Choice, Days, Reference, Search, containing
from .queries import neighbours
from .screens import asked, first, look, part, show

__all__ = [
    "Choice", "Column", "Days", "List", "Reference", "Search",
    "asked", "containing", "first", "look", "neighbours", "part", "show",
]  # fmt: skip
