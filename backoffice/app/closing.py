"""What has to be in order before a month is closed: each domain says what it knows, the ledger asks all.

Names no domain; imported by domains.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from ..base.periods import Month


@dataclass(frozen=True)
class ClosingCheck:
    """Something of which `count` says how much is not in order, of the days up to the end of a month.

    `page` answers the endpoint and the arguments of the screen that lists it. The month is not closed as long as there
    is any.
    """

    name: str
    title: str
    count: Callable[[Session, Month], int]
    page: Callable[[Month], tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Checked:
    """What one check has found of a month."""

    check: ClosingCheck
    count: int

    @property
    def forbids(self) -> bool:
        """Whether the month stays open because of it."""
        return self.count > 0
