"""Output of a dry run, as a table and as JSON: every row with its future value, net and gross."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import click
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...app import command_line
from ...app.extensions import db
from ...runs.models import DONE, FOUND, Run, RunItem
from ...runs.queries import found_by
from ...web.formats import money_filter
from ...web.record_links import called
from ..findings import reported_of
from ..naming import named_failures, with_names
from .performing import failures_of

SHOWN = 50
"""Rows printed to a terminal; --json prints them all."""


def items_found(session: Session, run_id: int) -> Sequence[RunItem]:
    """The items that the dry run would change."""
    mine = select(RunItem).where(RunItem.run_id == run_id, RunItem.outcome == FOUND)
    return session.scalars(mine.order_by(RunItem.id)).all()


def as_dict(run: Run) -> dict[str, Any]:
    """A dry run for JSON: its number, how it ended, its row count, its totals, and each row."""
    found = found_by(db.session(), run.id)
    items = [reported_of(item) for item in items_found(db.session(), run.id)]
    return {
        "run": run.id,
        "status": run.status,
        "drifted": found.count,
        "net": str(found.net),
        "gross": str(found.gross),
        "findings": with_names(db.session.connection(), items),
        "failures": named_failures(db.session.connection(), failures_of(db.session(), run.id)),
    }


def incomplete_in_words(run: Run) -> str:
    """The sentence for a run that has not looked at everything."""
    reason = run.error or run.status
    return _("Run %(run)s did not look at everything: %(error)s", run=run.id, error=reason)


def print_dry_run(run: Run, *, as_json: bool) -> None:
    """Print all of it as one JSON object, or the first rows as a table and the command that applies them."""
    if as_json:
        click.echo(json.dumps(as_dict(run)))
        return
    if run.status != DONE:
        click.echo(incomplete_in_words(run), err=True)
    items = items_found(db.session(), run.id)
    if not items:
        if run.status == DONE and not run.skipped:
            is_all = not run.scope.get("figures")
            click.echo(_("Every figure is right.") if is_all else _("What was verified is right."))
        return
    print_items(items)
    found = found_by(db.session(), run.id)
    click.echo(
        _(
            "Dry run %(run)s: %(count)s figure rows would be written, net %(net)s, gross %(gross)s. "
            "Apply exactly these with: backoffice runs apply %(run)s --reason …",
            run=run.id, count=found.count, net=money_filter(found.net), gross=money_filter(found.gross),
        )
    )  # fmt: skip


def print_items(items: Sequence[RunItem]) -> None:
    """Print the first items as a table."""
    print_rows([reported_of(item) for item in items[:SHOWN]])


def print_rows(findings: Sequence[Mapping[str, Any]]) -> None:
    """Print the first of these, each as `as_reported` returns it, as a table; differences by column, net and gross."""
    amounts = (_("Difference"), _("Net"), _("Gross"))
    titles = (_("Figure"), _("Row"), _("Kind"), _("Stored"), _("Expected"), *amounts, _("Root"))
    shown = findings[:SHOWN]
    named = ((finding["figure"], finding["owner"], finding["key"]) for finding in shown)
    rows = []
    for finding, name in zip(shown, called(db.session.connection(), named), strict=True):
        root = finding["root"]
        is_itself = root == {"figure": finding["figure"], "key": finding["key"]}
        row = (
            finding["figure"],
            row_in_words(name, finding["key"]),
            finding["kind"],
            *(pairs(finding[side]) for side in ("stored", "expected", "difference")),
            *(_written(finding[amount]) for amount in ("net", "gross")),
            _("itself") if is_itself else f"{root['figure']} {pairs(root['key'])}",
        )
        rows.append(row)
    command_line.print_rows(titles, rows)


def _written(amount: str | None) -> str:
    return "" if amount is None else money_filter(Decimal(amount))


def row_in_words(name: str | None, key: Mapping[str, Any]) -> str:
    """The title of a row, and its key."""
    return f"{name} ({pairs(key)})" if name else pairs(key)


def pairs(values: Any) -> str:
    """Names with their values, in one line."""
    return ", ".join(f"{k}={v}" for k, v in dict(values).items()) or "–"
