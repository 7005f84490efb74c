"""What has to be in order of billing before a month is closed."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..app.closing import ClosingCheck
from ..base import N_
from ..base.periods import Month
from .models import Payment
from .rules import VOID


def _unmatched(session: Session, month: Month) -> int:
    waiting = Payment.meter_id.is_(None), Payment.status != VOID, Payment.paid_on <= month.last
    return session.scalar(select(func.count()).select_from(Payment).where(*waiting)) or 0


CLOSING = (
    ClosingCheck(
        "payments", N_("Payments that are not matched"), _unmatched,
        lambda _month: ("billing.unmatched", {}),
    ),
)  # fmt: skip
