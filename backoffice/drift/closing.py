"""The checks on stored totals and facts before a month is closed."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..app.closing import ClosingCheck
from ..base import N_
from ..base.periods import Month
from ..figures.models import FigureNote
from .figure_status import IS_COUNTED, IS_OPEN
from .models import DriftFinding


def _wrong(session: Session, _month: Month) -> int:
    found = select(func.count()).select_from(DriftFinding).where(IS_OPEN, IS_COUNTED)
    return session.scalar(found) or 0


def _waiting(session: Session, _month: Month) -> int:
    return session.scalar(select(func.count()).select_from(FigureNote)) or 0


CLOSING = (
    ClosingCheck(
        "notes", N_("Changes of other programs that are not counted yet"), _waiting, lambda _month: ("drift.index", {})
    ),
    ClosingCheck("drift", N_("Stored totals that are wrong"), _wrong, lambda _month: ("drift.index", {})),
)  # fmt: skip
