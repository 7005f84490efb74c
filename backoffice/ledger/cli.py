"""`backoffice ledger …`: post and reverse entries, and the trial balance.

Exit status as `diff` has it: 0 done, 2 refused, or no such entry.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import date
from functools import partial
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..app.command_line import Trouble, operator, refusals_reported
from ..app.extensions import db
from ..base import money, periods
from ..drift.cli import json_option
from ..figures import acting_as
from . import actions
from .entries import Totals
from .models import JournalEntry
from .queries import trial_balance

group = AppGroup("ledger")

day_option = partial(click.option, type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD")
"""A day, which `day_of` reads."""


@group.command("post")
@click.argument("number")
@json_option
def post(number: str, as_json: bool) -> None:
    """Post the draft of that number."""
    session = db.session()
    with refusals_reported(), acting_as(operator()):
        entry = _named(session, number)
        actions.post(session, entry.id, entry.version, {})
        session.commit()
    _tell(entry, as_json, _("Entry %(number)s is posted.", number=entry.number))


@group.command("reverse")
@click.argument("number")
@day_option("--date", "day", help="The day of the reversal; today without it.")
@click.option("--memo", default="", metavar="TEXT", help="Why it is reversed.")
@click.option(
    "--key",
    default=None,
    metavar="KEY",
    help="The same key has one effect, however often it is given.",
)
@json_option
def reverse(number: str, day: date | None, memo: str, key: str | None, as_json: bool) -> None:
    """Post an entry that takes back the one of that number."""
    session = db.session()
    with refusals_reported(), acting_as(operator()):
        reported = {"entry_date": day_of(day), "memo": memo}
        made = actions.reverse(session, _named(session, number).id, reported, key).row
        session.commit()
    said = _("Entry %(number)s is reversed by %(reversal)s.", number=number, reversal=made.number)
    _tell(made, as_json, said)


@group.command("trial-balance")
@day_option("--date", "day", help="At the end of that day; today without it.")
@json_option
def trial(day: date | None, as_json: bool) -> None:
    """What every account holds, on its side; both sides come to the same."""
    held = trial_balance(db.session(), day_of(day))
    both = Totals.of(held)
    if as_json:
        rows = [
            one._asdict() | {"debit": str(one.debit), "credit": str(one.credit)} for one in held
        ]
        sides = {"debit": str(both.debits), "credit": str(both.credits)}
        click.echo(json.dumps({"date": day_of(day).isoformat(), "accounts": rows, **sides}))
        return
    lines = [(one.code, one.name, one.debit, one.credit) for one in held]
    total = ("", _("Total"), both.debits, both.credits)
    print_accounts([_("Debit"), _("Credit")], [*lines, total])


def day_of(day: date | None) -> date:
    """A day of an option is a moment to click."""
    return periods.today() if day is None else date(day.year, day.month, day.day)


def _named(session: Session, number: str) -> JournalEntry:
    """Raises Trouble where there is no such entry."""
    found = session.scalars(select(JournalEntry).where(JournalEntry.number == number)).one_or_none()
    if found is None:
        raise Trouble(_("There is no entry %(number)s.", number=number))
    return found


def _tell(entry: JournalEntry, as_json: bool, said: str) -> None:
    reported = {
        "number": entry.number,
        "posting_number": entry.posting_number,
        "status": entry.status,
    }
    click.echo(json.dumps(reported) if as_json else said)


def print_accounts(amounts: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Rows of a code, a name, and amounts, of which each is called."""
    from rich.table import Table

    from ..runs.item_tables import print_table

    table = Table(_("Code"), _("Name"), box=None)
    for title in amounts:
        table.add_column(title, justify="right")
    for code, name, *held in rows:
        table.add_row(code, name, *map(money.format_amount, held))
    print_table(table)
