"""What has to be in order of billing before a month is closed."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..app.closing import ClosingCheck
from ..base import N_
from ..base.periods import Month
from .models import Payment
from .queries import without_meter


def _unmatched(session: Session, month: Month) -> int:
    waiting = select(func.count(Payment.id)).where(
        without_meter(Payment), Payment.paid_on <= month.last
    )
    return session.scalar(waiting) or 0


CLOSING = (
    ClosingCheck(
        "payments", N_("Payments that are not matched"), _unmatched,
        lambda _month: ("billing.unmatched", {}),
    ),
)  # fmt: skip
