"""Marks for the achieved amounts of a year that have an open drift finding."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..base.periods import Month
from ..drift.figure_status import IS_OPEN
from ..drift.marks import FINDINGS
from ..drift.models import DriftFinding
from ..lists.marking import Mark
from ..security.rights import mine_or
from .figures import achieved


@dataclass(frozen=True)
class Doubted:
    """The known drift of a year: columns of managers' months, and the mark to show beside them."""

    places: Collection[tuple[str, int, Month]] = ()
    mark: Mark | None = None

    def of(
        self,
        column: str,
        *,
        month: Month | None = None,
        until: Month | None = None,
        manager: int | None = None,
    ) -> Mark | None:
        """The mark of a sum of that column: over one month, all months `until` one, one manager, or everything."""
        is_wrong = any(
            name == column
            and month in (None, of_month)
            and (until is None or of_month <= until)
            and manager in (None, owner)
            for name, owner, of_month in self.places
        )
        return self.mark if is_wrong else None


def doubted(session: Session, user: Any, year: int, manager_id: int | None = None) -> Doubted:
    """The known drift, missing rows included, of a year of one manager, or of all who are visible to `user`."""
    if not FINDINGS.is_any_open(session, [achieved.name]):
        return Doubted()
    month = DriftFinding.key["month"].astext
    wanted = [
        IS_OPEN,
        DriftFinding.figure == achieved.name,
        month.between(date(year, 1, 1).isoformat(), date(year, 12, 31).isoformat()),
        mine_or(user, "targets.read_all", DriftFinding.owner.expression),
    ]
    if manager_id is not None:
        wanted.append(DriftFinding.owner == manager_id)
    row = DriftFinding
    found = session.execute(select(row.owner, month, row.stored, row.expected).where(*wanted))
    places = {
        (column, owner, Month.of(date.fromisoformat(text)))
        for owner, text, stored, expected in found
        for column in {**(stored or {}), **(expected or {})}
    }
    return Doubted(places, Mark(FINDINGS.address_of([achieved.name])))
