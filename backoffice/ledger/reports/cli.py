"""`backoffice ledger balance-sheet` and `export`: the balance sheet of a day, and the book as files."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _

from ...app.extensions import db
from ...base import money
from ...drift.cli import json_option
from ..cli import DAY, day_of
from .files import FILES
from .queries import balance_sheet_of
from .sheets import Line, Report, name_of

group = AppGroup("ledger")

WORDS = {"asset": "assets", "liability": "liabilities", "equity": "equity"}
"""Type of account → what its section is called in JSON."""


@group.command("balance-sheet")
@click.option(
    "--date", "day", type=DAY, metavar="YYYY-MM-DD", help="At the end of that day; today without it."
)  # fmt: skip
@json_option
def balance_sheet(day: date | None, as_json: bool) -> None:
    """What there is, and what is owed and owned; both come to the same."""
    asked = day_of(day)
    report = balance_sheet_of(db.session(), [asked])
    if as_json:
        click.echo(json.dumps({"date": asked.isoformat(), **_reported(report)}))
    else:
        _print(report)


def _reported(report: Report) -> Mapping[str, Any]:
    sections = {
        WORDS[section.type]: {
            "total": _amount(section.total),
            "lines": [
                {
                    "code": one.code,
                    "name": name_of(one),
                    "level": one.level,
                    "balance": _amount(one),
                }
                for one in section.lines
            ],
        }
        for section in report.sections
    }
    (gap,) = report.gaps
    is_balanced = {"difference": str(gap), "is_balanced": not gap}
    return {**sections, "liabilities_and_equity": _amount(report.result), **is_balanced}


def _amount(line: Line) -> str:
    return str(line.amounts[0])


def _print(report: Report) -> None:
    from rich.table import Table

    from ...runs.item_tables import print_table

    table = Table(_("Code"), _("Name"), box=None)
    table.add_column(_("Balance"), justify="right")
    for _type, line in report.lines:
        code = "" if line.is_own else line.code
        table.add_row(code, "  " * line.level + name_of(line), money.format_amount(line.amounts[0]))
    print_table(table)


@group.command("export")
@click.argument("what", type=click.Choice(list(FILES)))
@click.option("--output", type=click.File("wb"), default="-", help="A file; else stdout.")
def export(what: str, output: Any) -> None:
    """Write the chart, the posted journal, or both for beancount, as a file."""
    for piece in FILES[what](db.session()):
        output.write(piece)
