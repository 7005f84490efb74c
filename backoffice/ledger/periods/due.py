"""Months that the maintenance closes, where the deployment has switched that on: `CLOSE_MONTHS_AFTER_DAYS`."""

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
"""What a second person reads, where one has to approve it."""


def close_due(work: Work) -> None:
    """Close one month after the other that ended long enough ago, as far as nothing is in the way.

    Whoever reopened a month closes it again, and with it what it opened: until then nothing is due.
    """
    days = current_app.config["CLOSE_MONTHS_AFTER_DAYS"]
    is_further = days > 0 and work.asked.requested_by.startswith("schedule:")
    while is_further:
        with work.transaction() as step:
            is_further = _close_next(step, days)
    with work.transaction(is_last=True):
        pass


def _close_next(step: Step, days: int) -> bool:
    """Close the next month if it is due, or ask for a second person; whether there may be a further one."""
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
