"""`backoffice ledger reconcile`: post what is open of documents, and tie control accounts out to their domains.

Exit status as `diff` has it: 0 done and tied out, 1 a dry run found something or an account differs, 2 trouble.
"""

import json
import sys
from collections.abc import Sequence
from datetime import date
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _

from ...app.command_line import (
    CLEAN,
    FOUND,
    day_option,
    print_rows,
)
from ...app.extensions import db
from ...database.snapshots import snapshot
from ...drift.cli import json_option
from . import actions
from .queries import OpenPosting, Scope, open_postings
from .sources import BY_NAME
from .tie_out import TieOut, tie_out

group = AppGroup("ledger")


@group.command("reconcile")
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice(list(BY_NAME)),
    help="Only documents of this kind; may be repeated.",
)
@day_option("--date-from", help="Only documents of that day or later.")
@day_option("--date-to", help="Only documents of that day or earlier.")
@click.option("--dry-run", is_flag=True, help="Only say what would be posted.")
@json_option
def reconcile(
    sources: tuple[str, ...], date_from: date | None, date_to: date | None, dry_run: bool, as_json: bool
) -> None:  # fmt: skip
    """Post what documents come to and the journal does not say yet; compare control accounts with their domains."""
    scope = Scope(sources, date_from, date_to)
    session = db.session()
    found = open_postings(session, scope)
    posted = 0
    if not dry_run:
        posted = actions.reconcile(session, scope)
        session.commit()
    session.rollback()
    with snapshot(db.engine) as connection:
        tied = tie_out(connection)
    if as_json:
        click.echo(json.dumps(_reported(found, posted, tied, dry_run)))
    else:
        _print(found, posted, tied, dry_run)
    differs = any(one.difference for one in tied)
    sys.exit(FOUND if differs or (dry_run and found) else CLEAN)


def _reported(
    found: Sequence[OpenPosting], posted: int, tied: Sequence[TieOut], dry_run: bool
) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "posted": posted,
        "sources": [
            {"source": one.source.name, "postings": one.count, "amount": str(one.amount)} for one in found
        ],
        "tie_out": [one.as_dict() for one in tied],
    }  # fmt: skip


def _print(
    found: Sequence[OpenPosting], posted: int, tied: Sequence[TieOut], dry_run: bool
) -> None:
    if found:
        documents = ((_(one.source.title), one.count, one.amount) for one in found)
        print_rows([_("Documents"), _("Postings"), _("Debits")], documents)
    sentence = (
        _("%(count)d entries would be posted.", count=sum(one.count for one in found)) if dry_run
        else _("%(count)d entries are posted.", count=posted)
    )  # fmt: skip
    click.echo(sentence)
    sides = (_("Ledger"), _("Not posted yet"), _("Sub-ledger"), _("Difference"))
    rows = ((_(o.control.title), o.held, o.not_posted, o.beneath, o.difference) for o in tied)
    print_rows([_("Control account"), *sides], rows)
