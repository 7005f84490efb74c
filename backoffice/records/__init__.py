"""Records: what users enter is declared once, and list, form, page, history and API are derived from it.

docs/records.md explains how. A domain passes its special parts through the options of `Record`.
"""

from .declaration import (
    Contents,
    Deletion,
    Record,
    Rendered,
    Rendering,
    Repeated,
    Shown,
    Values,
    Verb,
)
from .fields import (
    NOT_TO_COME,
    Amount,
    CalendarMonth,
    Choice,
    Day,
    Factor,
    Field,
    Flag,
    Law,
    Named,
    Notes,
    Pick,
    Quantity,
    Text,
    UnitPrice,
)

__all__ = [
    "NOT_TO_COME",
    "Amount",
    "CalendarMonth",
    "Choice",
    "Contents",
    "Day",
    "Deletion",
    "Factor",
    "Field",
    "Flag",
    "Law",
    "Named",
    "Notes",
    "Pick",
    "Quantity",
    "Record",
    "Rendered",
    "Rendering",
    "Repeated",
    "Shown",
    "Text",
    "UnitPrice",
    "Values",
    "Verb",
]  # fmt: skip
