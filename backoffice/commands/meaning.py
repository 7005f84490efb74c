"""`backoffice db set-meaning`: deliberately change the currency and the time zone that the book is kept in."""

import json
from dataclasses import asdict

import click
from flask import current_app
from flask.cli import with_appcontext
from flask_babel import gettext as _

from ..app.command_line import Trouble
from ..app.config import READERS
from ..app.extensions import db
from ..base.currencies import CURRENCIES
from ..book import actions
from ..book.meaning import MeaningDiffers
from ..book.owning import as_owner, owner_engine


def _timezone(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else READERS["BUSINESS_TIMEZONE"][1](value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("set-meaning")
@with_appcontext
@click.option(
    "--currency", type=click.Choice(sorted(CURRENCIES)), help="The book's currency from now on."
)
@click.option(
    "--timezone",
    metavar="ZONE",
    callback=_timezone,
    help="The business time zone from now on, like Asia/Jakarta.",
)
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def set_meaning(
    currency: str | None, timezone: str | None, reason: str, dry_run: bool, as_json: bool
) -> None:
    """Change what the amounts and days of this book mean; stored totals are then computed anew.

    No stored amount is converted: 1,000 in Rupiah becomes 1,000 in Dong.
    """
    if currency is None and timezone is None:
        raise click.UsageError("Say what the book shall mean: --currency, --timezone or both.")
    if not dry_run and not reason.strip():
        raise click.UsageError("Say why, with --reason: it is kept in the audit trail.")
    db.engine.dispose()  # so that this process's own connections are not counted as running
    try:
        with as_owner(owner_engine(current_app)) as connection:
            if dry_run:
                change = actions.planned(connection, currency, timezone)
            else:
                change = actions.set_meaning(connection, currency, timezone, reason.strip())
    except MeaningDiffers as differs:
        raise Trouble(str(differs)) from differs
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, **asdict(change)}))
    else:
        _print(change, dry_run)


def _print(change: actions.MeaningChange, dry_run: bool) -> None:
    before, after = change.before, change.after
    if before == after:
        click.echo(_("The book means that already."))
        return
    for was, becomes in ((before.currency, after.currency), (before.timezone, after.timezone)):
        if was != becomes:
            click.echo(f"{was} → {becomes}")
    for name, count in change.fractions.items():
        click.echo(
            _(
                "%(column)s: %(count)s amounts have decimals that %(currency)s does not have.",
                column=name, count=f"{count:,}", currency=after.currency,
            )
        )  # fmt: skip
    if dry_run:
        click.echo(_("Nothing was changed."))
        return
    click.echo(
        _(
            "Start every process with CURRENCY=%(currency)s and BUSINESS_TIMEZONE=%(zone)s from now on. "
            "First compute the stored totals anew: backoffice db upgrade",
            currency=after.currency, zone=after.timezone,
        )
    )  # fmt: skip
