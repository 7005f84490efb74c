"""What needs a user's attention: each domain declares its sources, and Today reads all of them.

Names no domain; imported by domains. A source is read only for users who hold its permission.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

Weight = Literal["danger", "warning", "info"]
Section = Literal["books", "attention", "unfinished", "nights"]
"""The section of Today: the one sentence on the books, what needs attention, the user's unfinished work,
last night's runs."""


@dataclass(frozen=True)
class Notice:
    """One line of Today: a translated sentence, and the URL of the rows behind its number."""

    sentence: str
    href: str
    weight: Weight = "info"
    count: int | None = None


Ask = Callable[[Session, Any], Iterable[Notice]]
"""Returns the current notices of one user; none where nothing needs attention."""


@dataclass(frozen=True)
class Source:
    """One domain's part of Today: the notices that `ask` returns, for users who hold `permission`."""

    name: str
    section: Section
    permission: str
    ask: Ask
