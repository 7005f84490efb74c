"""Lists that people live in: columns, filters, totals of the whole filter, saved views, exports.

A domain names its columns and filters once (`List`); `show` is its screen. docs/lists.md says how.
"""

from .declaration import Buttons, Column, List
from .exporting import export, limited
from .filters import AsOf, Choice, Days, Moments, Reference, Said, Search, containing, text_in
from .queries import neighbours
from .screens import asked, look, part, show
from .state import state_of
from .wording import in_words

__all__ = [
    "AsOf", "Buttons", "Choice", "Column", "Days", "List", "Moments", "Reference", "Said", "Search",
    "asked", "containing", "export", "in_words", "limited", "look", "neighbours", "part", "show", "state_of",
    "text_in",
]  # fmt: skip
