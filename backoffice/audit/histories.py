"""What the history of a record tells: every save and correction of it, and what each changed.

`macros/history.html` draws it.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Change:
    """One thing that changed; `before` empty: it came, `after` empty: it went.

    `difference` is what it grew by, with its sign; empty of what is no number, or of what came or went.
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
