"""Automatic closing of months by the maintenance, where `CLOSE_MONTHS_AFTER_DAYS` is set."""

from datetime import timedelta

from flask import current_app
from sqlalchemy.orm import Session

from ... import figures
from ...approvals.actions import do_or_ask
from ...base import periods
from ...base.refusals import Refusal
from ...runs.actions import Limits
from ...runs.models import APPLIED, FOUND
from ...runs.work import Step, Work
from .approved_verbs import CLOSE
from .queries import is_any_reopened, next_to_close

REASON = "The month ended long enough ago, and everything is in order."
"""The reason that a second person reads, where one has to approve it."""


def close_due(work: Work) -> None:
    """Close the months that ended long enough ago, in order, until one is not in order.

    While a month is reopened none is due: a user closes that one again.
    """
    days = current_app.config["CLOSE_MONTHS_AFTER_DAYS"]
    is_further = days > 0 and work.asked.requested_by.startswith("schedule:")
    while is_further:
        with work.transaction() as step:
            is_further = _close_next(step, days)
    with work.transaction(is_last=True):
        pass


def _close_next(step: Step, days: int) -> bool:
    """Close the next month if it is due, or request its approval; answers whether a further one may be due."""
    try:
        with step.savepoint(), figures.session_over(step.connection) as session:
            return _closed(step, session, days)
    except Refusal:
        return False


def _closed(step: Step, session: Session, days: int) -> bool:
    month = next_to_close(session)
    if is_any_reopened(session) or periods.today() < month.last + timedelta(days):
        return False
    limits = Limits.of(current_app.config)
    run = do_or_ask(session, CLOSE, {"month": str(month)}, reason=REASON, limits=limits)
    step.item(CLOSE.name, APPLIED if run is None else FOUND, key={"month": str(month)})
    step.tally.changed += run is None
    step.tally.skipped += run is not None
    step.tally.checked += 1
    return run is None
