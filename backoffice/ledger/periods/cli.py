"""`backoffice ledger close-period | reopen-period`: months of the book.

Exit status as `diff` has it: 0 done, 1 something is not in order or it waits for approval, 2 refused.
"""

import json
import sys
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...app.closing import Checked
from ...app.command_line import FOUND, month_given
from ...app.extensions import db
from ...approvals.actions import do_or_ask
from ...approvals.verbs import Payload, Verb
from ...base.periods import Month
from ...drift.cli import json_option
from ...runs.actions import Limits
from ..rules import CLOSED, OPEN
from . import actions
from .approved_verbs import CLOSE, REOPEN
from .queries import checklist

group = AppGroup("ledger")


@group.command("close-period")
@click.argument("month", metavar="YYYY-MM")
@click.option(
    "--dry-run", is_flag=True, help="Say what is in order and what is not; close nothing."
)
@click.option(
    "--reason", default="", help="Why; for the second person, where one has to approve it."
)
@json_option
def close(month: str, dry_run: bool, reason: str, as_json: bool) -> None:
    """Close a month: nothing dated in it is entered or changed any more. Exit status 1 while that is not possible."""
    session, asked = db.session(), month_given(month)
    actions.refuse_close(session, asked)
    found = checklist(session, asked)
    is_possible = not any(checked.forbids for checked in found)
    run = None
    if is_possible and not dry_run:
        run = _carry_out(session, CLOSE, {"month": str(asked)}, reason)
    is_closed = is_possible and not dry_run and run is None
    session.rollback()
    reported = {
        "month": str(asked), "status": CLOSED if is_closed else OPEN, "dry_run": dry_run, "run": run,
        "checks": [_as_sent(checked) for checked in found],
    }  # fmt: skip
    lines = [f"{_(checked.check.title)}: {checked.count:,}" for checked in found]
    lines.append(_("%(month)s is closed.", month=asked) if is_closed else _state(asked, run))
    click.echo(json.dumps(reported) if as_json else "\n".join(lines))
    if not is_possible or run is not None:
        sys.exit(FOUND)


@group.command("reopen-period")
@click.argument("month", metavar="YYYY-MM")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@json_option
def reopen(month: str, reason: str, as_json: bool) -> None:
    """Let what is dated in the last closed month be changed again."""
    session, asked = db.session(), month_given(month)
    run = _carry_out(session, REOPEN, {"month": str(asked), "reason": reason.strip()}, reason)
    reported = {"month": str(asked), "status": OPEN if run is None else CLOSED, "run": run}
    sentence = _("%(month)s is open again.", month=asked) if run is None else _state(asked, run)
    click.echo(json.dumps(reported) if as_json else sentence)
    if run is not None:
        sys.exit(FOUND)


def _carry_out(session: Session, verb: Verb, payload: Payload, reason: str) -> int | None:
    """Carry the verb out; answers the run's id where it waits for another user's approval. Commits."""
    limits = Limits.of(current_app.config)
    run = do_or_ask(session, verb, payload, reason=reason, limits=limits)
    number = None if run is None else run.id
    session.commit()
    return number


def _state(month: Month, run: int | None) -> str:
    if run is None:
        return _("%(month)s is open.", month=month)
    return _("Run %(run)s waits for a user's approval.", run=run)


def _as_sent(checked: Checked) -> dict[str, Any]:
    return {"name": checked.check.name, "count": checked.count, "forbids": checked.forbids}
