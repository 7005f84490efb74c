"""What needs a user's attention: each domain declares what it knows, and Today asks all of them.

Names no domain; imported by domains. A source is asked only for people who hold its permission.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

Weight = Literal["danger", "warning", "info"]
Section = Literal["books", "attention", "unfinished", "nights"]
"""Where it stands on Today: the one sentence on the books, what needs attention, my unfinished work,
last night's runs."""


@dataclass(frozen=True)
class Notice:
    """One line of Today: a translated sentence, and the address of the rows behind its number."""

    sentence: str
    href: str
    weight: Weight = "info"
    count: int | None = None


Ask = Callable[[Session, Any], Iterable[Notice]]
"""Asks for the lines of one user, now; a line that says that all is well is no line."""


@dataclass(frozen=True)
class Source:
    """One domain's part in Today: what `ask` tells whoever holds `permission`."""

    name: str
    section: Section
    permission: str
    ask: Ask
