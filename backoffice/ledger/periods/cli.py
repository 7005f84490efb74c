"""`backoffice ledger close-period | reopen-period`: months of the book.

Exit status as `diff` has it: 0 done, 1 something is not in order, 2 refused.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _

from ...app.closing import Checked
from ...app.command_line import FOUND, Trouble, operator, refusals_reported
from ...app.extensions import db
from ...base.periods import Month
from ...drift.cli import json_option
from ...figures import acting_as
from . import actions
from .models import CLOSED, OPEN
from .queries import checklist

group = AppGroup("ledger")


@group.command("close-period")
@click.argument("month", metavar="YYYY-MM")
@click.option(
    "--dry-run", is_flag=True, help="Say what is in order and what is not; close nothing."
)
@json_option
def close(month: str, dry_run: bool, as_json: bool) -> None:
    """Close a month: nothing dated in it is entered or changed any more. Exit status 1 while that is not possible."""
    session, asked = db.session(), _month(month)
    with refusals_reported(), acting_as(operator()):
        actions.refuse_close(session, asked)
        found = checklist(session, asked)
        is_possible = not any(checked.forbids for checked in found)
        is_closed = is_possible and not dry_run
        if is_closed:
            actions.close(session, asked, operator())
            session.commit()
    session.rollback()
    reported = {
        "month": str(asked), "status": CLOSED if is_closed else OPEN, "dry_run": dry_run,
        "checks": [_as_sent(checked) for checked in found],
    }  # fmt: skip
    click.echo(json.dumps(reported) if as_json else "\n".join(_lines(asked, found, is_closed)))
    if not is_possible:
        sys.exit(FOUND)


@group.command("reopen-period")
@click.argument("month", metavar="YYYY-MM")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@json_option
def reopen(month: str, reason: str, as_json: bool) -> None:
    """Let what is dated in the last closed month be changed again."""
    session, asked = db.session(), _month(month)
    with refusals_reported(), acting_as(operator()):
        actions.reopen(session, asked, operator(), reason)
        session.commit()
    reported = {"month": str(asked), "status": OPEN}
    click.echo(json.dumps(reported) if as_json else _("%(month)s is open again.", month=asked))


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError as error:
        raise Trouble(_("Write the month as YYYY-MM, like 2026-03.")) from error


def _as_sent(checked: Checked) -> dict[str, Any]:
    return {"name": checked.check.name, "count": checked.count, "forbids": checked.forbids}


def _lines(month: Month, found: Sequence[Checked], is_closed: bool) -> list[str]:
    lines = [f"{_(checked.check.title)}: {checked.count:,}" for checked in found]
    said = (
        _("%(month)s is closed.", month=month)
        if is_closed
        else _("%(month)s is open.", month=month)
    )
    return [*lines, said]
