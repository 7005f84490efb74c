"""What commands share: exit statuses, errors as sentences, their actor, and their database."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import partial, wraps
from getpass import getuser
from textwrap import wrap
from typing import Any

import click
from click.core import ParameterSource
from flask_babel import gettext as _

from ..base import money, periods
from ..base.periods import Month
from ..base.refusals import NOT_A_DAY, Refusal
from ..base.trouble import Trouble
from ..database.embedded import Services

CLEAN, FOUND, TROUBLE = 0, 1, Trouble.exit_code
"""Exit statuses, as of `diff`: done, something found or refused, could not be done."""

WIDEST = 10_000
"""The width in characters of a table that is written to a pipe or file."""

PATIENCE: dict[str, Any] = {"STATEMENT_TIMEOUT": 0, "LOCK_TIMEOUT": 60_000}
"""Settings (milliseconds) of a process without a user at a screen: no statement timeout, a minute for a lock."""

__all__ = [
    "CLEAN", "FOUND", "PATIENCE", "TROUBLE", "Tell", "Trouble", "database_in_use", "day_option", "month_given",
    "never_together", "operator", "print_rows", "progress_bar", "refusals_reported",
]  # fmt: skip

Command = Callable[..., None]


def never_together(first: str, *others: str) -> Callable[[Command], Command]:
    """Refuse the parameter `first` of a command together with any of `others`, so that none is silently ignored.

    Names are those of the function's arguments. The pairs are kept in the function's `refused`.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def checked(*arguments: Any, **given: Any) -> None:
            for other in others:
                _refuse(first, other)
            command(*arguments, **given)

        before: tuple[tuple[str, str], ...] = getattr(command, "refused", ())
        checked.refused = (*before, *((first, other) for other in others))  # type: ignore[attr-defined]
        return checked

    return decorate


def _refuse(*names: str) -> None:
    context = click.get_current_context()
    sources = (context.get_parameter_source(name) for name in names)
    if not all(source is ParameterSource.COMMANDLINE for source in sources):
        return
    known = {parameter.name: parameter for parameter in context.command.params}
    one, other = (known[name].make_metavar(context) if isinstance(known[name], click.Argument)
                  else known[name].opts[0] for name in names)  # fmt: skip
    raise Trouble(
        _("%(one)s and %(other)s do not go together. Leave one of them out.", one=one, other=other)
    )


def month_given(text: str) -> Month:
    """Parse the month given to a command. Raises Trouble."""
    try:
        return Month.parse(text)
    except ValueError as error:
        raise Trouble(
            _("%(text)s is not a month; write it as YYYY-MM, like 2026-03.", text=text[:20])
        ) from error


def _day_given(_context: Any, _option: Any, given: datetime | None) -> date | None:
    """A day within the range of records' dates. Raises Trouble."""
    if given is None:
        return None
    text = given.date().isoformat()
    if (day := periods.read_day(text)) is None:
        raise Trouble(_(NOT_A_DAY, text=text))
    return day


day_option = partial(
    click.option, type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", callback=_day_given
)
"""An option that takes a day; the command gets it as a date, None without one."""


@contextmanager
def refusals_reported() -> Iterator[None]:
    """Turn a Refusal into Trouble: a sentence and exit status 2."""
    try:
        yield
    except Refusal as refusal:
        raise Trouble(_(refusal.sentence, **refusal.values)) from refusal


Tell = Callable[..., None]
"""Updates a progress bar: `total`, `completed` and `advance`, as of `rich.progress.Progress.update`."""


@contextmanager
def progress_bar(title: str, total: int | None = None) -> Iterator[Tell | None]:
    """A progress bar on a terminal's standard error; None elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    text = TextColumn("{task.description}")
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        yield partial(bar.update, bar.add_task(title, total=total))


Cell = str | int | Decimal


def print_rows(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a table; amounts and counts are formatted and aligned to the right.

    On a terminal cells are wrapped between words, and nothing is cut: where the words do not fit side by side, each row
    is a block of lines. Into a pipe or file the table is so wide that each row is one line.
    """
    from rich.console import Console

    held = [list(row) for row in rows]
    is_right = [
        any(not isinstance(row[place], str) for row in held) for place in range(len(titles))
    ]
    written = [[_written(cell) for cell in row] for row in held]
    console = Console()
    width = console.width if console.is_terminal else WIDEST
    widths = _widths([titles, *written], is_right, width - 3 * len(titles) - 1)
    if widths is None:
        _print_blocks(titles, written, width)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for title, right, fits in zip(titles, is_right, widths, strict=True):
        table.add_column(title, justify="right" if right else "left", width=fits, overflow="fold")
    for row in written:
        table.add_row(*map(Text, row))  # as text: a name in brackets is no markup
    Console(width=width).print(table)


def _widths(rows: Sequence[Sequence[str]], is_whole: Sequence[bool], room: int) -> list[int] | None:
    """The width of each column, so that no word is cut; None where there is not enough room for that.

    Cells of a column that `is_whole` are not wrapped at all.
    """
    columns = list(zip(*rows, strict=True))
    most = [max(map(_longest_line, column)) for column in columns]
    least = [
        wide if whole else max(map(_longest_word, column))
        for wide, whole, column in zip(most, is_whole, columns, strict=True)
    ]
    room -= sum(least)
    if room < 0:
        return None
    widths = list(least)
    while room and (wanting := [n for n, wide in enumerate(widths) if wide < most[n]]):
        for place in wanting[:room]:
            widths[place] += 1
        room -= min(room, len(wanting))
    return widths


def _longest_line(cell: str) -> int:
    from rich.cells import cell_len

    return max((cell_len(line) for line in cell.splitlines()), default=0)


def _longest_word(cell: str) -> int:
    from rich.cells import cell_len

    return max((cell_len(word) for word in cell.split(" ")), default=0)


def _print_blocks(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> None:
    """Print each row as lines of a title and a value, without the empty ones."""
    aside = max(map(_longest_line, titles)) + 2
    for row in rows:
        for title, cell in zip(titles, row, strict=True):
            lines = wrap(
                cell, max(width - aside, 1), break_long_words=False, break_on_hyphens=False
            )
            for number, line in enumerate(lines):
                click.echo(f"{'' if number else title:<{aside}}{line}")
        click.echo()


def _written(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else money.format_amount(cell)


def operator() -> str:
    """The actor of a command: `cli:` and the operating-system user; `cli:unknown` in a container without one."""
    try:
        return f"cli:{getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"


@contextmanager
def database_in_use(settings: Mapping[str, Any]) -> Iterator[None]:
    """Keep the embedded PostgreSQL, if it is used, running during the block."""
    if not settings["EMBEDDED_POSTGRES"]:
        yield
        return
    services = Services(settings["BACKOFFICE_HOME"])
    with services.in_use(services.postgres) as sentences:
        for sentence in sentences[len(services.folders.notices) :]:  # the notices are for `dev`
            click.echo(sentence, err=True)
        yield
