"""`backoffice ledger …`: post and reverse entries, print the trial balance and both reports, and export the book.

Exit status as `diff` has it: 0 done, 2 refused, or no such entry.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..app.command_line import Trouble, day_option, print_rows
from ..app.extensions import db
from ..base.periods import today
from ..drift.cli import json_option
from . import actions
from .entries import Totals
from .listing import AS_OF, trial_balance_of
from .models import Account, JournalEntry
from .reports.files import FILES
from .reports.queries import DateRange, balance_sheet_of, income_statement_of
from .reports.sheets import Report, ReportLine, Section, name_of
from .rules import ASSET, EQUITY, EXPENSE, LIABILITY, REVENUE

group = AppGroup("ledger")


@group.command("post")
@click.argument("number")
@json_option
def post(number: str, as_json: bool) -> None:
    """Post the draft of that number."""
    session = db.session()
    entry = _entry_of(session, number)
    actions.post(session, entry.id, entry.version, {})
    session.commit()
    _print_entry(entry, as_json, _("Entry %(number)s is posted.", number=entry.number))


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
    entered = {"entry_date": day or today(), "memo": memo}
    made = actions.reverse(session, _entry_of(session, number).id, entered, key).row
    session.commit()
    sentence = _(
        "Entry %(number)s is reversed by %(reversal)s.", number=number, reversal=made.number
    )
    _print_entry(made, as_json, sentence)


@group.command("trial-balance")
@day_option("--date", "day", help="At the end of that day; today without it.")
@json_option
def trial(day: date | None, as_json: bool) -> None:
    """What every account holds, on its side; both sides come to the same."""
    asked = (day or today()).isoformat()
    listing = trial_balance_of({AS_OF.name: asked})
    columns = (column.value.label(column.name) for column in listing.columns)
    rows_of = listing.rows(None).with_only_columns(*columns).order_by(Account.code)
    held = db.session.execute(rows_of).all()
    both = Totals.of(held)
    if as_json:
        rows = [
            one._asdict() | {"debit": str(one.debit), "credit": str(one.credit)} for one in held
        ]
        sides = {"debit": str(both.debits), "credit": str(both.credits)}
        click.echo(json.dumps({"date": asked, "accounts": rows, **sides}))
        return
    lines = [(one.code, one.name, one.debit, one.credit) for one in held]
    total = ("", _("Total"), both.debits, both.credits)
    print_rows([_("Code"), _("Name"), _("Debit"), _("Credit")], [*lines, total])


WORDS = {
    ASSET: "assets", LIABILITY: "liabilities", EQUITY: "equity", REVENUE: "revenue", EXPENSE: "expenses",
}  # fmt: skip
"""Type of account → the key of its section in JSON."""


@group.command("balance-sheet")
@day_option("--date", "day", help="At the end of that day; today without it.")
@json_option
def balance_sheet(day: date | None, as_json: bool) -> None:
    """What there is, and what is owed and owned; both come to the same."""
    asked = day or today()
    report = balance_sheet_of(db.session(), [asked])
    (gap,) = report.gaps
    ended = {"liabilities_and_equity": _amount(report.result), "difference": str(gap)}
    _print_report(report, as_json, {"date": asked.isoformat()}, {**ended, "is_balanced": not gap})


@group.command("income-statement")
@day_option("--date-from", "since", help="From that day on; the first of its year without it.")
@day_option("--date-to", "until", help="To the end of that day; today without it.")
@json_option
def income_statement(since: date | None, until: date | None, as_json: bool) -> None:
    """What was earned and spent in a period, and what is left of it."""
    last = until or today()
    first = since or date(last.year, 1, 1)
    if first > last:
        raise Trouble(_("The period ends before it begins."))
    report = income_statement_of(db.session(), [DateRange(first, last)])
    days = {"date_from": first.isoformat(), "date_to": last.isoformat()}
    _print_report(report, as_json, days, {"net_income": _amount(report.result)})


def _print_report(
    report: Report, as_json: bool, days: Mapping[str, str], ended: Mapping[str, Any]
) -> None:
    """Print the report's lines; as JSON print `days`, its sections, and `ended`."""
    if not as_json:
        rows = (
            ("" if line.is_own else line.code, "  " * line.level + name_of(line), line.amounts[0])
            for _type, line in report.lines
        )
        print_rows([_("Code"), _("Name"), _("Balance")], rows)
        return
    sections = {WORDS[one.type]: _as_data(one) for one in report.sections}
    click.echo(json.dumps({**days, **sections, **ended}))


def _as_data(section: Section) -> Mapping[str, Any]:
    lines = [
        {"code": one.code, "name": name_of(one), "level": one.level, "balance": _amount(one)}
        for one in section.lines
    ]
    return {"total": _amount(section.total), "lines": lines}


def _amount(line: ReportLine) -> str:
    return str(line.amounts[0])


@group.command("export")
@click.argument("what", type=click.Choice(list(FILES)))
@click.option("--output", type=click.File("wb"), default="-", help="A file; else stdout.")
def export(what: str, output: Any) -> None:
    """Write the chart, the posted journal, or both for beancount, as a file."""
    for piece in FILES[what](db.session()):
        output.write(piece)


def _entry_of(session: Session, number: str) -> JournalEntry:
    """The entry of that number. Raises Trouble where there is none."""
    found = session.scalars(select(JournalEntry).where(JournalEntry.number == number)).one_or_none()
    if found is None:
        raise Trouble(_("There is no entry %(number)s.", number=number))
    return found


def _print_entry(entry: JournalEntry, as_json: bool, sentence: str) -> None:
    reported = {
        "number": entry.number,
        "posting_number": entry.posting_number,
        "status": entry.status,
    }
    click.echo(json.dumps(reported) if as_json else sentence)
