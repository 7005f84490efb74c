"""What figures' commands print: what was found, what was corrected, and how a figure was calculated."""

import json
from collections.abc import Sequence

import click
from flask_babel import gettext as _
from rich.table import Table

from .. import figures
from ..extensions import db
from ..runs.item_tables import print_table
from ..runs.models import COUNTERS
from ..subjects import called
from .dry_runs import SHOWN, pairs, row_in_words
from .naming import named_failures
from .performing import Performed, Verified


def print_healed(done: Performed, as_json: bool) -> None:
    """How many rows were corrected, were right, were left alone or failed; as one JSON object where asked."""
    run = done.run
    if as_json:
        failures = named_failures(db.session.connection(), done.failures)
        click.echo(
            json.dumps(
                {
                    "run": run.id,
                    "status": run.status,
                    "corrections": run.changed,
                    **{name: getattr(run, name) for name in COUNTERS},
                    "failures": failures,
                }
            )
        )
        return
    click.echo(
        _(
            "Run %(run)s: %(checked)s looked at: %(changed)s changed, %(unchanged)s right, "
            "%(skipped)s left alone, %(failed)s failed.",
            run=run.id, **{name: getattr(run, name) for name in COUNTERS},
        )
    )  # fmt: skip
    if run.error:
        click.echo(f"  {run.error}", err=True)
    print_failures(done.failures)


def print_failures(failures: Sequence[tuple[str, int | None, str]]) -> None:
    """What could not be corrected, on standard error."""
    for failed in named_failures(db.session.connection(), failures[:SHOWN]):
        owner = failed["name"] or failed["owner"]
        click.echo(f"  {failed['bundle']} {owner}: {failed['error']}", err=True)


def print_findings(done: Verified, *, is_all: bool) -> None:
    """The first rows that drifted, or that everything is right, if everything was looked at."""
    found = done.findings
    if not found:
        if done.is_whole:
            click.echo(_("Every figure is right.") if is_all else _("What was verified is right."))
        return
    table = Table(_("Figure"), _("Row"), _("Kind"), _("Stored"), _("Expected"), _("Root"))
    shown = found[:SHOWN]
    rows = ((finding["figure"], finding["owner"], finding["key"]) for finding in shown)
    for finding, name in zip(shown, called(db.session.connection(), rows), strict=True):
        root = finding["root"]
        is_itself = root == {"figure": finding["figure"], "key": finding["key"]}
        table.add_row(
            finding["figure"],
            row_in_words(name, finding["key"]),
            finding["kind"],
            pairs(finding["stored"]),
            pairs(finding["expected"]),
            _("itself") if is_itself else f"{root['figure']} {pairs(root['key'])}",
        )
    print_table(table)
    click.echo(
        _(
            "%(count)s figure rows drifted. `backoffice figures heal` corrects them; --json lists them all.",
            count=len(found),
        )
    )
    if done.run:
        click.echo(_("Run %(run)s recorded them: Health → Drift lists them.", run=done.run.id))


def print_explanation(explanation: figures.Explanation, name: str | None) -> None:
    """A figure with its terms, stored beside expected."""
    click.echo(f"{_(explanation.title)}: {row_in_words(name, dict(explanation.row.key))}")
    for column in explanation.columns:
        mark = "=" if column.is_right else "≠"
        click.echo(f"  {_(column.label)}: {column.stored} {mark} {column.expected}")
        for term in column.terms:
            origin = _("entered") if term.entered else term.figure or ""
            click.echo(f"    {term.sign or ' '} {_(term.label)} {term.value}  {origin}".rstrip())
            for row in term.rows:
                click.echo(f"        {row.table} {row.id}: {row.amount}")
