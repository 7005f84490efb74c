"""Output of the figures commands: findings, corrections, and explanations."""

import json
from collections.abc import Iterable, Sequence

import click
from flask_babel import gettext as _

from ... import figures
from ...app import command_line
from ...app.extensions import db
from ...figures import Check
from ...figures.declaring.checks import Compared, Part
from ...runs.models import COUNTERS
from ..naming import named_failures
from ..wording import difference, side_in_words
from .dry_runs import SHOWN, print_rows, row_in_words
from .performing import Performed, Verified


def print_healed(done: Performed, as_json: bool) -> None:
    """How many rows were corrected, right, skipped or failed; as one JSON object with `as_json`."""
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
    """Print to standard error what could not be corrected."""
    for failed in named_failures(db.session.connection(), failures[:SHOWN]):
        owner = failed["name"] or failed["owner"]
        click.echo(f"  {failed['bundle']} {owner}: {_(failed['error'])}", err=True)


def print_findings(done: Verified, *, is_all: bool) -> None:
    """Print the first drifted rows, or that everything is right, if everything was verified."""
    found = done.findings
    for one in done.differing:
        click.echo(
            _(
                "%(check)s: %(left)s ≠ %(right)s. `backoffice figures check %(check)s` shows both sides.",
                check=one["check"], left=one["left"], right=one["right"],
            )
        )  # fmt: skip
    if not found:
        if done.is_whole and not done.differing:
            click.echo(_("Every figure is right.") if is_all else _("What was verified is right."))
        return
    print_rows(found)
    click.echo(
        _(
            "%(count)s figure rows drifted. `backoffice figures heal` corrects them; --json lists them all.",
            count=len(found),
        )
    )
    if done.run:
        click.echo(_("Run %(run)s recorded them: Health → Drift lists them.", run=done.run.id))


def print_checks(checks: Iterable[Check]) -> None:
    """Print both sides of each check as a table."""
    titles = [_("Check"), _("Title"), _("Left side"), _("Right side")]
    rows = [(c.name, _(c.title), side_in_words(c.left), side_in_words(c.right)) for c in checks]
    command_line.print_rows(titles, rows)


def print_compared(seen: Compared, differing: Sequence[Part]) -> None:
    """Print both sides of a check with their sums, and the parts in which they differ."""
    mark = "=" if seen.holds else "≠"
    one, whole = seen.check, seen.whole
    click.echo(f"{one.name}: {_(one.title)}: {whole.left} {mark} {whole.right}")
    for part, amount in zip((*one.left.sums, *one.right.sums), whole.sums, strict=True):
        click.echo(f"    {part.sign} {_(part.title)} {amount}")
    for each in (each for each in differing if each.label is not None):
        label = _(each.label) if each.label else "–"
        click.echo(f"  {label}: {each.left} ≠ {each.right} ({each.difference:+})")


def print_explanation(explanation: figures.Explanation, name: str | None) -> None:
    """Print a figure with its terms, stored and expected value."""
    click.echo(f"{_(explanation.title)}: {row_in_words(name, dict(explanation.row.key))}")
    for column in explanation.columns:
        mark = "=" if column.is_right else "≠"
        expected = "–" if column.expected is None else column.expected
        reported = f"  {_(column.label)}: {column.stored} {mark} {expected}"
        apart = difference(explanation.figure, column.column, column.stored, column.expected)
        click.echo(reported if column.is_right else f"{reported} ({apart})")
        for term in column.terms:
            origin = _("entered") if term.entered else term.figure or ""
            click.echo(f"    {term.sign or ' '} {_(term.label)} {term.value}  {origin}".rstrip())
            for row in term.rows:
                click.echo(f"        {row.table} {row.id}: {row.amount}")
