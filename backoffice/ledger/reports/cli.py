"""`backoffice ledger balance-sheet`, `income-statement` and `export`: both reports, and the book as files."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _

from ...app.command_line import Trouble
from ...app.extensions import db
from ...drift.cli import json_option
from ..cli import day_of, day_option, print_accounts
from ..rules import ASSET, EQUITY, EXPENSE, LIABILITY, REVENUE
from .files import FILES
from .queries import balance_sheet_of, income_statement_of
from .scope import Period
from .sheets import Line, Report, Section, name_of

group = AppGroup("ledger")

WORDS = {
    ASSET: "assets", LIABILITY: "liabilities", EQUITY: "equity", REVENUE: "revenue", EXPENSE: "expenses",
}  # fmt: skip
"""Type of account → what its section is called in JSON."""


@group.command("balance-sheet")
@day_option("--date", "day", help="At the end of that day; today without it.")
@json_option
def balance_sheet(day: date | None, as_json: bool) -> None:
    """What there is, and what is owed and owned; both come to the same."""
    asked = day_of(day)
    report = balance_sheet_of(db.session(), [asked])
    (gap,) = report.gaps
    ended = {"liabilities_and_equity": _amount(report.result), "difference": str(gap)}
    _tell(report, as_json, {"date": asked.isoformat()}, {**ended, "is_balanced": not gap})


@group.command("income-statement")
@day_option("--date-from", "since", help="From that day on; the first of its year without it.")
@day_option("--date-to", "until", help="To the end of that day; today without it.")
@json_option
def income_statement(since: date | None, until: date | None, as_json: bool) -> None:
    """What was earned and spent in a period, and what is left of it."""
    last = day_of(until)
    first = date(last.year, 1, 1) if since is None else day_of(since)
    if first > last:
        raise Trouble(_("The period ends before it begins."))
    report = income_statement_of(db.session(), [Period(first, last)])
    days = {"date_from": first.isoformat(), "date_to": last.isoformat()}
    _tell(report, as_json, days, {"net_income": _amount(report.result)})


def _tell(report: Report, as_json: bool, days: Mapping[str, str], ended: Mapping[str, Any]) -> None:
    """Print its lines; as JSON its sections between the days that it is of and what it ends with."""
    if not as_json:
        rows = (
            ("" if line.is_own else line.code, "  " * line.level + name_of(line), line.amounts[0])
            for _type, line in report.lines
        )
        print_accounts([_("Balance")], rows)
        return
    sections = {WORDS[one.type]: _as_data(one) for one in report.sections}
    click.echo(json.dumps({**days, **sections, **ended}))


def _as_data(section: Section) -> Mapping[str, Any]:
    lines = [
        {"code": one.code, "name": name_of(one), "level": one.level, "balance": _amount(one)}
        for one in section.lines
    ]
    return {"total": _amount(section.total), "lines": lines}


def _amount(line: Line) -> str:
    return str(line.amounts[0])


@group.command("export")
@click.argument("what", type=click.Choice(list(FILES)))
@click.option("--output", type=click.File("wb"), default="-", help="A file; else stdout.")
def export(what: str, output: Any) -> None:
    """Write the chart, the posted journal, or both for beancount, as a file."""
    for piece in FILES[what](db.session()):
        output.write(piece)
