"""`backoffice import KIND FILE…`."""

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _
from rich.console import Console

from ..commands import CLEAN, FOUND, Trouble
from ..extensions import db
from .importing import import_files
from .kinds import KINDS, Kind
from .report import Problem, Report

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _columns(kind: Kind) -> str:
    """The columns of a kind of file as the help shows them, optional ones in brackets."""
    names = (c.name if c.required else f"[{c.name}]" for c in kind.columns)
    return f"{kind.name}: {', '.join(names)}"


@click.command("import", epilog="\n\n".join(map(_columns, KINDS.values())))
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@with_appcontext
def import_command(kind: str, files: tuple[Path, ...], dry_run: bool, as_json: bool) -> None:
    """Import CSV files, all of them or nothing.

    Every bad line is listed, and then nothing is changed. The same files again change nothing.
    For each order and kind that order-lines files name, they hold all lines of that kind.
    Exit status: 0 done, 1 bad lines, 2 trouble.
    """
    with _sign_of_life():
        report = _imported(kind, files, dry_run)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        _print(report)
    sys.exit(FOUND if report.problems else CLEAN)


def _imported(kind: str, files: tuple[Path, ...], dry_run: bool) -> Report:
    try:
        report = import_files(db.session(), KINDS[kind], files, dry_run=dry_run)
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from error
    if report.is_applied:
        db.session.commit()
    else:
        db.session.rollback()
    return report


def _print(report: Report) -> None:
    for problem in report.problems:
        click.echo(_line(problem))
    if report.problems:
        bad = len({(problem.file, problem.line) for problem in report.problems})
        click.echo(
            _("%(bad)s bad lines in %(kind)s. Nothing was changed.", bad=bad, kind=report.kind)
        )
        return
    click.echo(
        _(
            "%(kind)s: %(read)s lines read, %(created)s created, %(updated)s updated, "
            "%(removed)s removed, %(unchanged)s unchanged.",
            kind=report.kind,
            read=report.read,
            created=report.created,
            updated=report.updated,
            removed=report.removed,
            unchanged=report.unchanged,
        )
    )
    if report.dry_run:
        click.echo(_("This was a dry run: nothing was changed."))


def _line(problem: Problem) -> str:
    """`file:line: column: sentence`, the form in which editors find their way to the line."""
    place = f"{problem.file}:{problem.line}:"
    column = f" {problem.column}:" if problem.column else ""
    return f"{place}{column} {_(problem.message, **problem.params)}"


def _sign_of_life() -> AbstractContextManager[object]:
    """Something that moves on a terminal; nothing where nobody looks."""
    console = Console(stderr=True)
    return console.status(_("Importing…")) if console.is_terminal else nullcontext()
