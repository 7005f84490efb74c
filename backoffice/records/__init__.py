"""Records: what is entered is declared once, and list, form, page, history and API follow from it.

docs/records.md says how. What is special in a domain passes its own part through a seam of `Record`.
"""

from .declaration import Record, Shown, Telling, Told
from .fields import Choice, Day, Field, Flag, Law, Text, UnitPrice

__all__ = [
    "Choice", "Day", "Field", "Flag", "Law", "Record", "Shown", "Telling", "Text", "Told", "UnitPrice",
]  # fmt: skip
