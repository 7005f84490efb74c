"""The history of a record: every save and correction, with the changes of each.

`macros/history.html` renders it.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Change:
    """One change; an empty `before`: the value was added, an empty `after`: it was removed.

    `difference` is the increase, with its sign; empty if not a number, or if added or removed.
    """

    label: str
    before: str
    after: str
    difference: str = ""


@dataclass(frozen=True)
class Event:
    """One save or correction. `kind`: created, changed, deleted, void, merged, undone or corrected."""

    at: datetime
    who: str
    kind: str
    changes: tuple[Change, ...]
    note: str = ""
