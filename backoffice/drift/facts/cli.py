"""`backoffice audit verify-facts|accept-fact|restore-fact`: compare entered facts with the audit trail.

Exit status like `diff`: 0 clean, 1 something differs, 2 trouble.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...app.command_line import CLEAN, FOUND, Trouble
from ...app.extensions import db
from ...audit.cli import group, json_option
from ...audit.facts import ADDED, REMOVED, facts_by_table
from ...audit.rendering import label_of
from ...audit.tables import title_of
from ...runs import actions
from ...runs.errors import EndedBadly
from ...runs.models import DONE, Run
from .. import queries, wording
from ..figure_status import IS_OPEN
from ..healing.moved_wording import print_moved
from ..healing.performing import performed
from ..models import ACCEPTED, RESTORED, DriftFinding
from .deciding import decided
from .findings import name_of
from .runs import VERIFY_FACTS

__all__ = ["group"]

SHOWN = 50
"""Differences printed to a terminal; --json prints them all."""


@group.command("verify-facts")
@click.option("--table", "tables", multiple=True, help="Only this table; may be repeated.")
@json_option
def verify_facts(tables: tuple[str, ...], as_json: bool) -> None:
    """Compare every recorded row with what the trail says of it. Exit status 1 when any differs."""
    known = facts_by_table()
    for table in tables:
        if table not in known:
            raise Trouble(
                _("%(table)s is no table of the audit trail.", table=table)
                + " "
                + _("There are: %(tables)s.", tables=", ".join(sorted(known)))
            )
    run = _performed(sorted(set(tables)))
    found = _found(sorted(set(tables)) or list(known))
    if as_json:
        click.echo(json.dumps(_as_dict(run, found)))
    else:
        _print(run, found)
    if run.status != DONE:
        raise EndedBadly(run)
    sys.exit(FOUND if found else CLEAN)


finding_argument = click.argument("finding", type=int)
reason_option = click.option("--reason", default="", help="Why; kept with the decision.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what it would change.")


@group.command("accept-fact")
@finding_argument
@reason_option
@dry_run_option
@json_option
def accept_fact(finding: int, reason: str, dry_run: bool, as_json: bool) -> None:
    """Let the trail say what the row of a finding holds, in your name."""
    _decide(finding, ACCEPTED, reason, dry_run, as_json)


@group.command("restore-fact")
@finding_argument
@reason_option
@dry_run_option
@json_option
def restore_fact(finding: int, reason: str, dry_run: bool, as_json: bool) -> None:
    """Write the row of a finding as the trail has it, in your name."""
    _decide(finding, RESTORED, reason, dry_run, as_json)


def _decide(finding: int, decision: str, reason: str, dry_run: bool, as_json: bool) -> None:
    made, moved = decided(db.session(), finding, decision, reason or "–" * dry_run)
    reported = {
        "finding": finding, "table": made.table_name, "id": made.row_id,
        "kind": made.kind, "decision": decision, "row": made.stored,
        "trail": made.trail, "totals": moved.as_dict(), "dry_run": dry_run,
    }  # fmt: skip
    if dry_run:
        db.session.rollback()
    else:
        db.session.commit()
    if as_json:
        click.echo(json.dumps(reported))
        return
    print_moved(moved)
    where = f"{reported['table']} {reported['id']}"
    if dry_run:
        click.echo(_("Dry run: %(row)s can be decided so; nothing was changed.", row=where))
    elif decision == ACCEPTED:
        click.echo(_("%(row)s is accepted as it is. What builds on it may be healed.", row=where))
    else:
        click.echo(_("%(row)s is restored from the audit trail.", row=where))


def _performed(tables: Sequence[str]) -> Run:
    """A verification run, performed here until it has ended; a live one that does the same is joined."""
    with Session(db.engine) as session:
        scope = {"tables": tables} if tables else {}
        number = actions.request_or_join(
            session, VERIFY_FACTS.name, scope, is_paced=False, is_here=True
        )
        session.commit()
    return performed(db.engine, number).run


def _found(tables: Sequence[str]) -> list[tuple[DriftFinding, str]]:
    """The open findings of these tables' facts, each with the title of its row."""
    names = [name_of(table) for table in tables]
    mine = DriftFinding.figure.in_(names)
    rows = select(DriftFinding, queries.name()).where(IS_OPEN, mine)
    return [(row[0], row[1]) for row in db.session.execute(rows.order_by(DriftFinding.id))]


def _as_dict(run: Run, found: Sequence[tuple[DriftFinding, str]]) -> dict[str, Any]:
    return {
        "ok": run.status == DONE and not found,
        "run": run.id,
        "status": run.status,
        "rows": (run.result or {}).get("rows", {}),
        "found": len(found),
        "findings": [
            {
                "finding": finding.id,
                "table": finding.figure.partition(":")[2],
                "id": finding.key["id"],
                "name": called,
                "kind": finding.kind,
                "row": finding.stored,
                "trail": finding.expected,
                "first_seen_at": finding.first_seen_at.isoformat(),
            }
            for finding, called in found
        ],
    }


def _print(run: Run, found: Sequence[tuple[DriftFinding, str]]) -> None:
    rows = sum((run.result or {}).get("rows", {}).values())
    click.echo(_("%(rows)s rows compared with the audit trail.", rows=f"{rows:,}"))
    if not found:
        if run.status == DONE:
            click.echo(_("Every fact is what the trail says."))
        return
    for finding, called in found[:SHOWN]:
        for line in lines_of(finding, called):
            click.echo(f"  {line}")
    if len(found) > SHOWN:
        click.echo(_("… and %(count)s more.", count=f"{len(found) - SHOWN:,}"))
    click.echo(
        ngettext(
            "%(num)d row differs from the audit trail. Decide about it by its number: "
            "backoffice audit accept-fact, or restore-fact.",
            "%(num)d rows differ from the audit trail. Decide about each by its number: "
            "backoffice audit accept-fact, or restore-fact.",
            len(found),
        )
    )


def lines_of(finding: DriftFinding, called: str) -> list[str]:
    """A finding in words, for a terminal: a line for each column that differs."""
    table = finding.figure.partition(":")[2]
    what = f"{finding.id}. {_(title_of(table))} {called} ({table} {finding.key['id']})"
    if finding.kind in (ADDED, REMOVED):
        return [f"{what}: {_(wording.KINDS[finding.kind])}"]
    stored, trail = finding.stored or {}, finding.expected or {}
    return [
        _(
            "%(what)s: %(column)s is %(row)s, the trail says %(trail)s",
            what=what, column=label_of(table, column), row=stored.get(column), trail=trail[column],
        )
        for column in trail
    ]  # fmt: skip
