"""`backoffice import KIND FILE…`."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext
from flask_babel import gettext as _

from ..app.command_line import CLEAN, FOUND, Trouble, never_together
from ..app.edge import retry_on_conflict
from ..app.extensions import db
from ..base.money import NUMBER_FORMATS
from ..drift.healing.moved_wording import print_moved
from .by_line import command as by_line
from .failed_rows import RowError, write_failed_rows
from .files.guessing import recognised_notation
from .files.layout import DATE_FORMATS, ENCODINGS, Layout, Notation, normalised
from .files.reading import CsvFile
from .files.sources import Source, as_sources
from .files.workbooks import NoWorkbook
from .importing import import_files
from .kinds import KINDS, ImportKind
from .report import Problem, Report

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
SIGNS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}


def _columns(kind: ImportKind) -> str:
    """The columns of a kind of file as the help shows them, optional ones in brackets."""
    names = (f"[{c.name}]" if c.may_be_missing else c.name for c in kind.columns)
    return f"{kind.name}: {', '.join(names)}"


def _layout_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options for files that are not written in the documented layout."""
    options = (
        click.option(
            "--map",
            "mapped",
            multiple=True,
            metavar="FILE_COLUMN=OUR_COLUMN",
            help="A column of the files by another name.",
        ),
        click.option(
            "--ignore",
            "ignored",
            multiple=True,
            metavar="COLUMN",
            help="A column to be passed over.",
        ),
        click.option(
            "--date-format",
            type=click.Choice(list(DATE_FORMATS)),
            default="iso",
            help="Order of dates; YYYY-MM-DD is understood in each.",
        ),
        click.option(
            "--number-format",
            type=click.Choice(list(NUMBER_FORMATS)),
            help="plain 1000.50, en 1,000.50, id 1.000,50. Without it: plain.",
        ),
        click.option("--encoding", type=click.Choice(list(ENCODINGS)), default="utf-8-sig"),
        click.option(
            "--delimiter", type=click.Choice(list(SIGNS)), help="Without it, what fits the header."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("import", epilog="\n\n".join(map(_columns, KINDS.values())))
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--dry-run", is_flag=True, help="Say what would change; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option(
    "--skip-bad-rows", is_flag=True, help="Import the good lines, leave the bad ones out."
)
@click.option(
    "--failed", type=NEW_FILE, metavar="FILE", help="Write the bad lines there, with why."
)
@click.option(
    "--line-by-line",
    "is_by_line",
    is_flag=True,
    help="Carry out each line by itself, in a run that any worker goes on with (wallet-charges).",
)
@click.option(
    "--results",
    type=NEW_FILE,
    metavar="FILE",
    help="With --line-by-line: write there what became of each line.",
)
@never_together("is_by_line", "dry_run", "skip_bad_rows", "failed")
@_layout_options
@with_appcontext
def import_command(
    kind: str,
    files: tuple[Path, ...],
    dry_run: bool,
    as_json: bool,
    skip_bad_rows: bool,
    failed: Path | None,
    is_by_line: bool,
    results: Path | None,
    **written: Any,
) -> None:
    """Import CSV files, all of them or nothing.

    Every bad line is listed, and then nothing is changed, unless bad rows are to be skipped. The
    same files again change nothing. For each order and kind that order-lines files name, they hold
    all lines of that kind. An empty cell of meters, invoices and payments leaves what is there.
    Exit status: 0 done, 1 bad lines, 2 trouble.
    """
    layout = _layout(KINDS[kind], **written)
    with _spinner():
        sources = [] if is_by_line else _sources(files)
        layout = _of_our_list(KINDS[kind], sources, layout)
        if written["number_format"] is None:
            _refuse_uncertain_numbers(KINDS[kind], sources or files, layout)
    if is_by_line:
        by_line.import_line_by_line(KINDS[kind], files, layout, results, as_json)
    if results is not None:
        raise Trouble(_("--results goes with --line-by-line."))
    with _spinner():
        report = retry_on_conflict(
            lambda: _imported(KINDS[kind], sources, layout, dry_run, skip_bad_rows), kind=kind
        )
        if failed is not None and report.problems:
            _write_failed(failed, KINDS[kind], sources, layout, report)
    if as_json:
        click.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        _print(report)
    sys.exit(FOUND if report.problems else CLEAN)


def _layout(
    kind: ImportKind,
    mapped: tuple[str, ...],
    ignored: tuple[str, ...],
    date_format: str,
    number_format: str | None,
    encoding: str,
    delimiter: str | None,
) -> Layout:
    columns = {normalised(name): "" for name in ignored}
    known = [column.name for column in kind.columns]
    for pair in mapped:
        name, _sign, target = pair.rpartition("=")
        if not name.strip() or normalised(target) not in known:
            raise Trouble(
                f"--map {pair}: write FILE_COLUMN=OUR_COLUMN; our columns are {', '.join(known)}."
            )
        if normalised(name) in columns:
            raise Trouble(_("The column %(name)s is named twice by --map and --ignore.", name=name))
        columns[normalised(name)] = normalised(target)
    notation = Notation(date_format, number_format or "plain")
    return Layout(encoding, SIGNS.get(delimiter or "", ""), notation, columns)


def _of_our_list(kind: ImportKind, sources: Sequence[Source], layout: Layout) -> Layout:
    """The layout of an exported list, if these files are one; heads that it has not are never guessed."""
    from .exported import as_exported  # reads all lists, which a command loads only for this

    try:
        return as_exported(kind, sources, layout) if sources else layout
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from error


def _refuse_uncertain_numbers(
    kind: ImportKind, files: Iterable[Path | Source], layout: Layout
) -> None:
    """Refuse mapped columns of another program whose numbers are not certainly in the documented notation.

    A column by its documented name is written in the documented notation.
    """
    foreign = [column for column in kind.columns if column.name in layout.columns.values()]
    if not any(column.holds == "number" for column in foreign):
        return
    mapped = replace(kind, columns=tuple(foreign))
    if recognised_notation(_sources(files), mapped, layout).numbers != "plain":
        raise Trouble(
            _(
                "It is not certain how the numbers of these files are written: 1.500 may be 1500. "
                "Add --number-format plain, en or id."
            )
        )


def _sources(files: Iterable[Path | Source]) -> list[Source]:
    try:
        return as_sources(files)
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from error
    except NoWorkbook as error:
        raise Trouble(f"This is no workbook that can be read: {error}.") from error


def _imported(
    kind: ImportKind, sources: Sequence[Source], layout: Layout, dry_run: bool, skip_bad_rows: bool
) -> Report:
    try:
        report = import_files(
            db.session(),
            kind,
            sources,
            layout=layout,
            dry_run=dry_run,
            skip_bad_lines=skip_bad_rows,
        )
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from error
    if report.is_applied:
        db.session.commit()
    else:
        db.session.rollback()
    return report


def _write_failed(
    path: Path, kind: ImportKind, sources: Sequence[Source], layout: Layout, report: Report
) -> None:
    """Write the bad lines; all lines, where the good ones cannot be imported without them."""
    opened = [CsvFile(source, kind.columns, layout) for source in sources]
    if any(file.problems for file in opened):
        return  # the header is wrong, so that no rows were read
    whole = bool(kind.together) and not report.is_applied
    try:
        with path.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            write_failed_rows(stream, opened, _row_errors(report), whole=whole)
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from error


def _row_errors(report: Report) -> Iterator[RowError]:
    places = {name: place for place, name in enumerate(report.files)}
    for problem in report.problems:
        yield RowError(places[problem.file], problem.line, _problem_text(problem))


def _print(report: Report) -> None:
    for problem in report.problems:
        click.echo(_line(problem))
    names = {"bad": report.bad_lines, "kind": report.kind}
    if not report.went_through:
        click.echo(_("%(bad)s bad lines in %(kind)s. Nothing was changed.", **names))
        if report.must_be_whole:
            click.echo(_("The good lines may be wrong without them, so all have to be corrected."))
        return
    if report.problems:
        click.echo(_("%(bad)s bad lines in %(kind)s are left out.", **names))
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
    print_moved(report.moved)
    if report.dry_run:
        click.echo(_("This was a dry run: nothing was changed."))


def _line(problem: Problem) -> str:
    """`file:line: column: sentence`, a form in which editors jump to the line."""
    return f"{problem.file}:{problem.line}: {_problem_text(problem)}"


def _problem_text(problem: Problem) -> str:
    """`column: sentence`."""
    column = f"{problem.column}: " if problem.column else ""
    return column + str(_(problem.message, **problem.params))


def _spinner() -> AbstractContextManager[object]:
    """A spinner on a terminal; nothing elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    return console.status(_("Importing…")) if console.is_terminal else nullcontext()
