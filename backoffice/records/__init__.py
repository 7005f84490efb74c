"""Records: what is entered is declared once, and list, form, page, history and API follow from it.

docs/records.md says how. What is special in a domain passes its own part through a seam of `Record`.
"""

from .declaration import Contents, Deletion, Record, Repeated, Shown, Telling, Told, Values, Verb
from .fields import (
    Amount,
    CalendarMonth,
    Choice,
    Day,
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
    "Amount", "CalendarMonth", "Choice", "Contents", "Day", "Deletion", "Field", "Flag", "Law", "Named", "Notes",
    "Pick", "Quantity", "Record", "Repeated", "Shown", "Telling", "Text", "Told", "UnitPrice", "Values", "Verb",
]  # fmt: skip
