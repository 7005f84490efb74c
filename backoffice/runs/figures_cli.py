"""`backoffice figures …`: list, verify, heal, rebuild, explain and reconcile every figure alike.

Exit status as `diff` has it: 0 clean or done, 1 drift found or some items failed, 2 trouble.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click
from flask.cli import AppGroup
from flask_babel import gettext as _
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from sqlalchemy import func, select

from .. import figures
from ..commands import CLEAN, FOUND, Trouble, operator
from ..extensions import db
from ..figures import Failure, Figure, FigureError, Finding, acting_as
from ..figures.report import Line, Totals, reconcile
from . import maintenance
from .errors import NothingToResume

_CALCULATES = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet takes for a formula."""

SHOWN = 50
"""Findings printed to a person; --json prints them all."""

group = AppGroup("figures", help="Stored totals: list, verify, heal, rebuild, explain, reconcile.")

names = click.argument("names", nargs=-1, metavar="[FIGURE]…")
owner_option = click.option(
    "--owner",
    "owners",
    multiple=True,
    type=int,
    help="Only this owner's id; may be repeated.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
reason_option = click.option("--reason", default="", help="Why; kept with every correction.")


@group.command("list")
@json_option
def list_figures(as_json: bool) -> None:
    """Every figure, what it builds on, and how many notes of outside programs wait."""
    waiting = figures.noted(db.engine)
    listed: list[dict[str, Any]] = [
        {
            "figure": f.name,
            "title": f.title,
            "table": f.table.name,
            "columns": [c.key for c in f.columns],
            "owner": f.owner_table.name,
            "builds_on": sorted(d.name for d in figures.registry.depends_on(f)),
            "noted": waiting[f],
        }
        for f in figures.registry.figures
    ]
    if as_json:
        click.echo(json.dumps({"figures": listed}))
        return
    table = Table(_("Figure"), _("Title"), _("Columns"), _("Owner"), _("Builds on"), _("Noted"))
    for line in listed:
        builds_on = ", ".join(line["builds_on"]) or "–"
        columns = ", ".join(line["columns"])
        table.add_row(
            line["figure"],
            _(line["title"]),
            columns,
            line["owner"],
            builds_on,
            str(line["noted"]),
        )
    _print_table(table)


@group.command()
@names
@owner_option
@json_option
def verify(names: tuple[str, ...], owners: tuple[int, ...], as_json: bool) -> None:
    """Compare what is stored with what is expected. Exit status 1 when anything drifted."""
    run_verify(chosen(names), owners, as_json)


@group.command()
@names
@owner_option
@reason_option
@json_option
@click.option("--dry-run", is_flag=True, help="Only say what would be healed; as verify does.")
@click.option("--noted", is_flag=True, help="Drain what outside programs left noted.")
@click.option("--resume", type=int, metavar="RUN", help="Continue an interrupted run.")
def heal(
    names: tuple[str, ...],
    owners: tuple[int, ...],
    reason: str,
    as_json: bool,
    dry_run: bool,
    noted: bool,
    resume: int | None,
) -> None:
    """Write the expected values over drifted ones; every change leaves a correction."""
    if dry_run:
        run_verify(chosen(names), owners, as_json)
    elif noted:
        run_heal_noted(as_json)
    else:
        run_heal(chosen(names), owners, as_json, reason=reason, resume=resume)


@group.command()
@names
@owner_option
@reason_option
@json_option
@click.option("--dry-run", is_flag=True, help="Only say what would change; as verify does.")
def rebuild(
    names: tuple[str, ...],
    owners: tuple[int, ...],
    reason: str,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Recompute all in scope, writing only differences; nothing is ever emptied first."""
    if dry_run:
        run_verify(chosen(names), owners, as_json)
    else:
        run_heal(chosen(names), owners, as_json, reason=reason, every_owner=True)


@group.command()
@click.argument("name", metavar="FIGURE")
@click.argument("key", type=int, metavar="ROW")
@json_option
def explain(name: str, key: int, as_json: bool) -> None:
    """How the figure of one row (its id) was calculated, down to the rows behind it."""
    [figure] = chosen((name,)) or []
    explanation = figures.explain(db.session, figure, key)
    if explanation is None:
        raise Trouble(_("%(figure)s has no row %(key)s.", figure=name, key=key))
    if as_json:
        click.echo(json.dumps(explanation.as_dict()))
    else:
        _print_explanation(explanation)
    sys.exit(CLEAN if explanation.is_right else FOUND)


@group.command("reconcile")
@click.argument("name", metavar="FIGURE")
@click.option(
    "--output",
    type=click.File("w", encoding="utf-8"),
    default="-",
    help="A file; else stdout.",
)
@click.option("--bom", is_flag=True, help="Begin with a byte order mark, for spreadsheets.")
def reconcile_figure(name: str, output: Any, bom: bool) -> None:
    """The reconciliation CSV: every row stored beside expected, then the control totals."""
    [figure] = chosen((name,)) or []
    if bom:
        output.write("\ufeff")
    totals: dict[str, Totals] = {}
    writer = csv.writer(output)
    keys = [k.key for k in figure.key]
    head = ["figure", "owner", *keys, "column", "stored", "expected", "difference", "right"]
    writer.writerow(head)
    for line in reconcile(db.engine, figures.registry, figure, totals):
        writer.writerow(_cells(figure.name, line.owner, *line.key, line.column, *_compared(line)))
    blanks = [""] * len(keys)
    for column, total in totals.items():
        writer.writerow(_cells("TOTAL", total.rows, *blanks, column, *_compared(total)))
    sys.exit(FOUND if any(t.drifted for t in totals.values()) else CLEAN)


def _compared(side: Line | Totals) -> list[Any]:
    right = "yes" if side.is_right else "no"
    return [side.stored, side.expected, side.difference, right]


def _cells(*values: Any) -> list[str]:
    """The values as cells; a text that a spreadsheet would calculate is made inert."""
    return [
        f"'{value}" if isinstance(value, str) and value[:1] in _CALCULATES else _plain(value)
        for value in values
    ]


def chosen(names: Sequence[str]) -> list[Figure] | None:
    """The named figures; None for all of them."""
    try:
        return [figures.registry.get(n) for n in names] or None
    except FigureError as error:
        raise Trouble(str(error)) from error


def run_verify(selected: list[Figure] | None, owners: Sequence[int], as_json: bool) -> None:
    """Verify, print what was found, and exit 0 or 1."""
    with _progress(selected, owners) as advance:
        found = list(figures.verify(db.engine, selected, owners or None, progress=advance))
    if as_json:
        counts: dict[str, int] = {f.name: 0 for f in selected or figures.registry.figures}
        for finding in found:
            counts[finding.figure.name] += 1
        click.echo(
            json.dumps(
                {
                    "drifted": len(found),
                    "figures": counts,
                    "findings": [f.as_dict() for f in found],
                }
            )
        )
    else:
        _print_findings(found)
    sys.exit(FOUND if found else CLEAN)


def run_heal(
    selected: list[Figure] | None, owners: Sequence[int], as_json: bool, **options: Any
) -> None:
    """Heal or rebuild as a run, print the result, and exit 0, or 1 when items failed."""
    with acting_as(operator()), _progress(selected, owners) as advance:
        try:
            run_id, result = maintenance.heal(
                db.engine, selected, owners or None, progress=advance, **options
            )
        except NothingToResume as error:
            raise Trouble(str(error)) from error
    failures = [asdict(failure) for failure in result.failures]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "run": run_id,
                    "checked": result.checked,
                    "corrections": result.corrections,
                    "failures": failures,
                }
            )
        )
    else:
        click.echo(
            _(
                "Run %(run)s: %(checked)s owners checked, %(corrections)s corrections, %(failed)s failed.",
                run=run_id, checked=result.checked, corrections=result.corrections, failed=len(failures),
            )
        )  # fmt: skip
        _print_failures(result.failures)
    sys.exit(FOUND if failures else CLEAN)


def _print_failures(failures: Sequence[Failure]) -> None:
    for failure in failures[:SHOWN]:
        click.echo(f"  {failure.bundle} {failure.owner}: {failure.error}", err=True)


def run_heal_noted(as_json: bool) -> None:
    """Drain what outside programs left noted, print how much that was, and exit 0, or 1 when some failed."""
    with acting_as(operator()):
        run_id, drained = maintenance.heal_noted(db.engine)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "run": run_id,
                    "notes": drained.notes,
                    "corrections": len(drained.corrections),
                    "failures": [asdict(failure) for failure in drained.failures],
                }
            )
        )
    else:
        click.echo(
            _(
                "Run %(run)s: %(notes)s notes drained, %(corrections)s corrections.",
                run=run_id, notes=drained.notes, corrections=len(drained.corrections),
            )
        )  # fmt: skip
        _print_failures(drained.failures)
    sys.exit(FOUND if drained.failures else CLEAN)


@contextmanager
def _progress(
    selected: list[Figure] | None, owners: Sequence[int]
) -> Iterator[Callable[[int], None] | None]:
    """A progress bar over the owners on a terminal's standard error; nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    total = 0
    for bundle in figures.registry.bundles_of(selected or figures.registry.figures):
        everyone = select(func.count()).select_from(bundle.owner_table)
        total += len(set(owners)) if owners else db.session.scalar(everyone) or 0
    db.session.rollback()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(_("Owners"), total=total)
        yield lambda size: bar.advance(task, size)


def _print_findings(found: Sequence[Finding]) -> None:
    if not found:
        click.echo(_("Every figure is right."))
        return
    table = Table(_("Figure"), _("Row"), _("Kind"), _("Stored"), _("Expected"), _("Root"))
    for finding in found[:SHOWN]:
        root = finding.roots[0]
        table.add_row(
            finding.figure.name,
            _pairs(finding.key),
            finding.kind,
            _pairs(finding.stored),
            _pairs(finding.expected),
            _("itself") if root == finding.row else f"{root.figure} {_pairs(dict(root.key))}",
        )
    _print_table(table)
    click.echo(
        _(
            "%(count)s figure rows drifted. `backoffice figures heal` corrects them; --json lists them all.",
            count=len(found),
        )
    )


def _print_explanation(explanation: figures.Explanation) -> None:
    click.echo(f"{_(explanation.title)}: {_pairs(dict(explanation.row.key))}")
    for column in explanation.columns:
        mark = "=" if column.is_right else "≠"
        click.echo(f"  {_(column.label)}: {column.stored} {mark} {column.expected}")
        for term in column.terms:
            origin = _("entered") if term.entered else term.figure or ""
            click.echo(f"    {term.sign or ' '} {_(term.label)} {term.value}  {origin}".rstrip())
            for row in term.rows:
                click.echo(f"        {row.table} {row.id}: {row.amount}")


def _print_table(table: Table) -> None:
    """As wide as the terminal; into a pipe or file wide enough that nothing is cut."""
    console = Console()
    Console(width=None if console.is_terminal else 200).print(table)


def _pairs(values: Any) -> str:
    return ", ".join(f"{k}={v}" for k, v in dict(values).items()) or "–"


def _plain(value: Any) -> str:
    return "" if value is None else str(value)
