"""The commands, the same for the console command `backoffice` and for `flask --app backoffice`."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import NamedTuple

import click
from flask import Flask, current_app, has_app_context
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..base.actor import acting_as
from ..base.late import named
from ..base.refusals import Refusal
from ..book import MeaningDiffers, difference_in
from ..database.outages import database_error_of, is_unreachable
from ..figures.errors import AnotherDefinition
from . import logs
from .command_line import PATIENCE, Trouble, database_in_use, operator, refusals_reported
from .edge import WAITED_IN_VAIN, sqlstate_of

STOPPED = (
    "Stopped before all was done. A run that it began is listed by: backoffice runs list --live. "
    "End that with: backoffice runs cancel RUN, and give the command again"
)
"""The message of a command that Ctrl+C has ended; it exits with 2, as 1 would mean that something was found."""


class Offered(NamedTuple):
    """A command or group: where it is defined (`module:NAME`), and its one-line help.

    `also` are groups of other domains; their commands are offered under the same name.
    """

    place: str
    sentence: str
    also: tuple[str, ...] = ()


COMMANDS = {
    "audit": Offered(
        "backoffice.drift.facts.cli:group", "The audit trail: verify its chain, seal it, anchor it."
    ),
    "backfill": Offered(
        "backoffice.billing.migration.cli:backfill",
        "Single steps of the migration: fill in what documents lack.",
    ),
    "balance": Offered(
        "backoffice.wallets.cli:group",
        "Balances of wallets and of gas: compare them with what they come to, put them right.",
        ("backoffice.gas.cli:group", "backoffice.commands.locks:group"),
    ),
    "db": Offered(
        "backoffice.commands.db:group",
        "The database itself: its schema, triggers, grants and statistics.",
    ),
    "demo": Offered("backoffice.demo.cli:demo", "The demo company."),
    "dev": Offered(
        "backoffice.commands.supervisor:dev",
        "Run everything on this machine until Ctrl+C: services, web, worker, scheduler.",
    ),
    "figures": Offered(
        "backoffice.reconciliation.cli:group",
        "Stored totals: list, verify, heal, rebuild, explain, reconcile.",
    ),
    "import": Offered(
        "backoffice.imports.cli:import_command", "Import CSV files, all of them or nothing."
    ),
    "info": Offered(
        "backoffice.commands.info:info",
        "Say which version this is, where its data lives, and where the running copy answers.",
    ),
    "ledger": Offered(
        "backoffice.ledger.cli:group",
        "The ledger: post, reverse and reconcile entries, the trial balance, the balance sheet and its health.",
        (
            "backoffice.ledger.posting.cli:group",
            "backoffice.ledger.periods.cli:group",
            "backoffice.ledger.health.cli:group",
        ),
    ),
    "migrate": Offered(
        "backoffice.billing.migration.cli:migrate",
        "Bring a legacy book to billing by meter, in six steps.",
    ),
    "orders": Offered(
        "backoffice.orders.cli:group", "Orders: verify and update their grand totals."
    ),
    "recalculate": Offered(
        "backoffice.billing.recalculation.cli:group",
        "Compute stored totals anew from what they are made of.",
    ),
    "runs": Offered(
        "backoffice.runs.cli:group", "Background work: list, show, cancel, retry, apply."
    ),
    "schedule": Offered(
        "backoffice.schedules.cli:group", "What is done by itself: list it, or do it now."
    ),
    "targets": Offered("backoffice.targets.cli:group", "Targets of account managers."),
    "tokens": Offered(
        "backoffice.people.tokens_cli:group", "Tokens, by which other programs sign in."
    ),
    "users": Offered("backoffice.people.cli:users", "The people who may sign in."),
    "validate": Offered(
        "backoffice.billing.migration.cli:validate",
        "Look whether the documents and balances of meters are sound.",
    ),
}
"""Name → command or group; imported when it is run, not when all are listed."""

WITHOUT_DATABASE = {"dev", "info"}
"""The commands that need no database, or start it themselves."""

WITH_SCREENS = {"tokens create"}
"""The commands that need the screens: the scopes of tokens are declared by views."""


def command_named(name: str) -> click.Command | None:
    """The command of that name, imported now."""
    if name not in COMMANDS:
        return None
    offered = COMMANDS[name]
    command = named(offered.place)
    for place in offered.also:
        command.commands |= named(place).commands
    command.help = command.help or offered.sentence
    found: click.Command = command
    return found


@contextmanager
def commanding() -> Iterator[None]:
    """Run the block with the operator as the actor; a refusal or known error becomes a sentence and exit status 2."""
    try:
        with acting_as(operator()):
            yield
    except Refusal:
        app: Flask = click.get_current_context().find_root().obj.load_app()
        with app.app_context(), refusals_reported():  # its sentence is in the app's language
            raise
    except KeyboardInterrupt as stop:
        raise Trouble(STOPPED) from stop
    except (AnotherDefinition, MeaningDiffers, SQLAlchemyError, OSError, click.FileError) as error:
        if not (sentence := _sentence_of(database_error_of(error) or error)):
            raise
        raise Trouble(sentence) from error


def _sentence_of(error: Exception) -> str:
    """What a known error prevents; empty for defects, and for click's own such as a closed pipe."""
    if (difference := difference_in(error)) is not None:
        return str(difference)
    if isinstance(error, DBAPIError):
        if sqlstate_of(error) in WAITED_IN_VAIN:
            return (
                "Others are changing the same records just now. Give the command again: "
                "what it has not done yet is done then."
            )
        what = (
            "The database cannot be used now" if is_unreachable(error) else "The database refused"
        )
        return f"{what}: {error.orig}".strip()
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}." if error.filename else ""
    if isinstance(error, SQLAlchemyError):
        return ""
    return error.message if isinstance(error, click.FileError) else str(error)


class AppCommands(AppGroup):
    """`app.cli`: the same commands for `flask --app backoffice`, which has created the app already."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted({*self.commands, *COMMANDS})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now; it runs in the same context as under `backoffice`."""
        command = command_named(name)
        if command is None:
            return super().get_command(ctx, name)
        prepared = copy(command)
        prepared.invoke = lambda ctx: _invoke(command, ctx)  # type: ignore[method-assign]
        return prepared


def _invoke(command: click.Command, ctx: click.Context) -> object:
    logs.configure("WARNING")  # standard output belongs to the command
    with commanding():
        if has_app_context() and command.name not in WITHOUT_DATABASE:
            current_app.config.update(PATIENCE)
            ctx.with_resource(database_in_use(current_app.config))
        return command.invoke(ctx)
