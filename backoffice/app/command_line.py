"""What commands share: exit statuses, trouble as a sentence, in whose name they act, and their database."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from getpass import getuser
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from flask_babel import gettext as _

from ..base.periods import Month
from ..base.refusals import Refusal
from ..base.trouble import Trouble
from ..database.embedded import Services

if TYPE_CHECKING:
    from rich.table import Table

CLEAN, FOUND, TROUBLE = 0, 1, Trouble.exit_code
"""Exit statuses, as `diff` has them: done, something found or refused, could not be done."""

WIDEST = 10_000
"""Characters of the longest line in a pipe or file."""

PATIENCE: dict[str, Any] = {"STATEMENT_TIMEOUT": 0, "LOCK_TIMEOUT": 60_000}
"""Settings of a process that nobody waits for at a screen: it has time, but waits a minute for a lock."""

__all__ = [
    "CLEAN", "FOUND", "PATIENCE", "TROUBLE", "Tell", "Trouble", "database_in_use", "month_given", "never_together",
    "operator", "print_table", "progress_bar", "refusals_reported",
]  # fmt: skip

Command = Callable[..., None]


def never_together(first: str, *others: str) -> Callable[[Command], Command]:
    """Refuse the parameter `first` of a command beside any of `others`, with a sentence: nothing is left unheeded.

    Names are those of the function's arguments. The pairs stand in the function's `refused`.
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
    """The month that a command is given. Raises Trouble."""
    try:
        return Month.parse(text)
    except ValueError as error:
        raise Trouble(
            _("%(text)s is not a month; write it as YYYY-MM, like 2026-03.", text=text[:20])
        ) from error


@contextmanager
def refusals_reported() -> Iterator[None]:
    """What the house refuses is a sentence and exit status 2."""
    try:
        yield
    except Refusal as refusal:
        raise Trouble(_(refusal.sentence, **refusal.values)) from refusal


Tell = Callable[..., None]
"""Says how far a bar is: `total`, `completed` and `advance`, as `rich.progress.Progress.update` takes them."""


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


def print_table(table: "Table") -> None:
    """As wide as the terminal; into a pipe or file as wide as it takes, so that nothing is cut and a row is a line."""
    from rich.console import Console

    console = Console()
    Console(width=None if console.is_terminal else WIDEST).print(table)


def operator() -> str:
    """The actor of a command: `cli:` and the system's account; a container may have none."""
    try:
        return f"cli:{getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"


@contextmanager
def database_in_use(settings: Mapping[str, Any]) -> Iterator[None]:
    """The embedded PostgreSQL, if that is the one, runs at least until the end."""
    if not settings["EMBEDDED_POSTGRES"]:
        yield
        return
    services = Services(settings["BACKOFFICE_HOME"])
    with services.in_use(services.postgres) as sentences:
        for sentence in sentences[len(services.places.notices) :]:  # the notices are for `dev`
            click.echo(sentence, err=True)
        yield
