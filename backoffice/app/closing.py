"""What has to be in order before a month is closed: each domain declares its checks, the ledger runs all.

Names no domain; imported by domains.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from ..base.periods import Month


@dataclass(frozen=True)
class ClosingCheck:
    """A check; `count` returns how many records are not in order, of the days up to the end of a month.

    `page` returns the endpoint and the arguments of the screen that lists them. The month cannot be closed while there
    are any.
    """

    name: str
    title: str
    count: Callable[[Session, Month], int]
    page: Callable[[Month], tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Checked:
    """The result of one check for a month."""

    check: ClosingCheck
    count: int

    @property
    def forbids(self) -> bool:
        """Whether it prevents the month from being closed."""
        return self.count > 0
