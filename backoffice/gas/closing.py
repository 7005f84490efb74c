"""What has to be in order of gas before a month is closed."""

from sqlalchemy.orm import Session

from ..app.closing import ClosingCheck
from ..base import N_
from ..base.periods import Month
from .queries import unpriced


def _unpriced(session: Session, month: Month) -> int:
    return unpriced(session, month.last)


CLOSING = (
    ClosingCheck(
        "readings", N_("Meter readings without a price"), _unpriced,
        lambda _month: ("readings.index", {"state": "unpriced"}),
    ),
)  # fmt: skip
