"""What has to be right of stored totals and facts before a month is closed."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..app.closing import ClosingCheck
from ..base import N_
from ..base.periods import Month
from .models import DriftFinding
from .standing import IS_COUNTED, IS_OPEN


def _wrong(session: Session, _month: Month) -> int:
    found = select(func.count()).select_from(DriftFinding).where(IS_OPEN, IS_COUNTED)
    return session.scalar(found) or 0


CLOSING = (
    ClosingCheck("drift", N_("Stored totals that are wrong"), _wrong, lambda _month: ("drift.index", {})),
)  # fmt: skip
