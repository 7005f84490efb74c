"""Billing's checks before a month is closed."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..app.closing import ClosingCheck
from ..base import N_
from ..base.periods import Month
from .models import Invoice, Payment
from .queries import without_meter


def _unmatched(session: Session, month: Month) -> int:
    return _waiting(session, Payment, Payment.paid_on <= month.last)


def _without_meter(session: Session, month: Month) -> int:
    return _waiting(session, Invoice, Invoice.issued_on <= month.last)


def _waiting(session: Session, document: type[Invoice | Payment], is_in_time: Any) -> int:
    waiting = select(func.count(document.id)).where(without_meter(document), is_in_time)
    return session.scalar(waiting) or 0


CLOSING = (
    ClosingCheck(
        "payments", N_("Payments that are not matched"), _unmatched,
        lambda month: ("billing.unmatched", {"until": month.last.isoformat()}),
    ),
    ClosingCheck(
        "invoices", N_("Invoices without a meter"), _without_meter,
        lambda month: ("invoices.index", {"without": "meter", "until": month.last.isoformat()}),
    ),
)  # fmt: skip
