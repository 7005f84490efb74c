"""`backoffice balance lock`: lock the book up to a day."""

import click
from flask import current_app
from flask.cli import AppGroup
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ..app.command_line import Trouble, never_together
from ..base.periods import read_day
from ..book.actions import lock_days, refuse_another
from ..book.owning import as_owner, owner_engine
from ..drift.cli import reason_option
from ..gas.queries import unpriced

group = AppGroup("balance")


@group.command("lock")
@click.option("--until", metavar="YYYY-MM-DD", help="The last day that is locked.")
@click.option("--open", "is_open", is_flag=True, help="Open every day again.")
@reason_option
@never_together("until", "is_open")
def lock(until: str | None, is_open: bool, reason: str) -> None:
    """Let no reading, price or deposit up to a day be entered, changed or deleted any more, by whomever."""
    day = None if until is None else read_day(until)
    if day is None and not is_open:
        raise Trouble(_("Say up to which day: --until YYYY-MM-DD, or --open."))
    if not reason.strip():
        raise Trouble(_("Say why, with --reason: it is kept in the audit trail."))
    with as_owner(owner_engine(current_app)) as connection:
        refuse_another(connection)
        lock_days(connection, day, reason.strip())
        waiting = 0 if day is None else unpriced(Session(connection), day)
    if day is None:
        click.echo(_("Every day is open."))
    else:
        click.echo(_("The days up to %(until)s are locked.", until=day.isoformat()))
    if waiting:
        warning = ngettext(
            "%(num)s reading of these days has no price and is in no balance: to enter it, open the days first.",
            "%(num)s readings of these days have no price and are in no balance: to enter them, open the days first.",
            waiting,
        )  # fmt: skip
        click.echo(warning, err=True)
