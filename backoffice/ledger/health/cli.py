"""`backoffice ledger health` and `heal`: whether the balance sheet is valid, and the heal of what is safe to heal.

Exit status as `diff` has it: 0 valid, 1 not valid, 2 trouble.
"""

import sys
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _

from ...app.command_line import CLEAN, FOUND
from ...app.extensions import db
from ...drift.cli import json_option
from ...runs.errors import EndedBadly
from . import examining, maintaining
from .examining import BalanceHealth
from .wording import as_data, in_lines, problems_in_lines, verdict, written

group = AppGroup("ledger")


@group.command("health")
@click.option("--stored", is_flag=True, help="From what is stored alone; no line is looked at.")
@json_option
def health(stored: bool, as_json: bool) -> None:
    """Whether the balance sheet is valid, entry by entry and account by account."""
    found = _stored() if stored else examining.examine(db.engine)
    _print_health(found, as_json)


@group.command("heal")
@click.option("--dry-run", is_flag=True, help="Only say what would be written; apply it later.")
@json_option
def heal(dry_run: bool, as_json: bool) -> None:
    """Write what posted lines come to over balances that differ; entries are never touched."""
    done = maintaining.maintain(db.engine, dry_run=dry_run, seconds=float("inf"))
    if not done.run.is_completed:
        raise EndedBadly(done.run)
    if not as_json:
        for item in done.items:
            named = item["account"] or item["subject"]
            click.echo(
                f"{named}: {item['before']} → {item['after']} {item['reason'] and _(item['reason'])}".strip()
            )
    more = {"run": done.run.id, "changed": done.run.changed, "items": done.items}
    _print_health(_stored(), as_json, has_failures=bool(done.run.failed), **more)


def _stored() -> BalanceHealth:
    return examining.stored_health(db.session.connection())


def _print_health(
    found: BalanceHealth, as_json: bool, *, has_failures: bool = False, **more: Any
) -> None:
    """Print the balance health, and exit 0 if it is valid and nothing failed, else 1."""
    if as_json:
        body = {"balance_status": found.is_valid, "data": as_data(found), **more}
        click.echo(written(body), nl=False)
    else:
        click.echo("\n".join([verdict(found), *in_lines(found), *problems_in_lines(found)]))
    sys.exit(CLEAN if found.is_valid and not has_failures else FOUND)
