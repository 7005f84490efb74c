"""`backoffice figures reconcile`: the reconciliation of a figure as a file, the same as on the screen."""

import sys
from datetime import date
from typing import Any

import click
from flask_babel import gettext as _

from .. import figures
from ..app.command_line import CLEAN, FOUND, Trouble, day_option, operator
from ..app.extensions import db
from ..base import periods
from ..drift.cli import chosen, group, owner_option, scope
from ..lists.csv_files import BYTE_ORDER_MARK, FLAVOURS

__all__ = ["group", "reconcile"]


@group.command()
@click.argument("name", metavar="FIGURE")
@owner_option
@day_option("--since", help="Count corrections from this day on.")
@day_option("--until", help="Count corrections up to and including this day.")
@click.option("--output", type=click.File("wb"), default="-", help="A file; else stdout.")
@click.option("--flavour", type=click.Choice(sorted(FLAVOURS)), default="csv", show_default=True)
@click.option("--bom", is_flag=True, help="Begin with a byte order mark, for spreadsheets.")
def reconcile(
    name: str,
    owners: tuple[str, ...],
    since: date | None,
    until: date | None,
    output: Any,
    flavour: str,
    bom: bool,
) -> None:
    """Every row stored beside expected, then the control totals. Exit status 1 when anything differs."""
    # Imported late: `figures list` is in this group too, and does not need reports.
    from .files import About, csv_of, plain
    from .queries import snapshot
    from .report import Report, Totals

    if since and until and since > until:
        raise Trouble(_("The first day comes after the last one."))
    [figure] = chosen((name,)) or []
    _same, ids = scope((name,), owners)
    first = periods.start_of(since) if since else None
    after = periods.end_of(until) if until else None
    records = ", ".join(f"#{owner}" if owner.isdigit() else owner for owner in owners) or "all"
    totals: dict[str, Totals] = {}
    if bom:
        output.write(BYTE_ORDER_MARK)
    with snapshot(db.engine) as connection:
        report = Report(
            connection, figures.registry, figure, owners=ids or None, since=first, until=after
        )
        about = About(records, operator(), first, after)
        for block in csv_of(report, about, FLAVOURS[flavour], plain(figure), totals):
            output.write(block)
    sys.exit(FOUND if any(total.drifted for total in totals.values()) else CLEAN)
