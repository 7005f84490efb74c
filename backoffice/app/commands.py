"""The commands: those of the console command `backoffice` and of `flask --app backoffice`, which are the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from importlib import import_module

import click
from flask import current_app, has_app_context
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError, OperationalError

from ..book import MeaningDiffers, difference_in
from ..figures.actor import acting_as
from ..figures.errors import AnotherDefinition
from . import logs
from .command_line import PATIENCE, Trouble, database_in_use, operator
from .edge import WAITED_IN_VAIN, sqlstate_of

COMMANDS = {
    "audit": "backoffice.drift.facts.cli:group",
    "backfill": "backoffice.billing.migration.cli:backfill",
    "db": "backoffice.commands.db:group",
    "demo": "backoffice.demo.cli:demo",
    "dev": "backoffice.commands.supervisor:dev",
    "figures": "backoffice.reconciliation.cli:group",
    "import": "backoffice.imports.cli:import_command",
    "info": "backoffice.commands.info:info",
    "migrate": "backoffice.billing.migration.cli:migrate",
    "orders": "backoffice.orders.cli:group",
    "recalculate": "backoffice.billing.recalculation.cli:group",
    "schedule": "backoffice.schedules.cli:group",
    "runs": "backoffice.runs.cli:group",
    "targets": "backoffice.targets.cli:group",
    "tokens": "backoffice.people.tokens_cli:group",
    "users": "backoffice.people.cli:users",
    "validate": "backoffice.billing.migration.cli:validate",
}
"""Command or group → where it stands; imported when somebody asks for it."""

WITHOUT_DATABASE = {"dev", "info"}
"""The commands that need no database, or start it themselves."""


def command_named(name: str) -> click.Command | None:
    """The command of that name, imported now."""
    if name not in COMMANDS:
        return None
    module, _, attribute = COMMANDS[name].partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    return command


@contextmanager
def commanding() -> Iterator[None]:
    """What is done inside is done in the operator's name; every trouble becomes a sentence and exit status 2."""
    try:
        with acting_as(operator()):
            yield
    except (AnotherDefinition, MeaningDiffers) as differs:
        raise Trouble(str(differs)) from differs
    except OperationalError as error:
        if (difference := difference_in(error)) is not None:
            raise Trouble(str(difference)) from error
        if sqlstate_of(error) in WAITED_IN_VAIN:
            raise Trouble(
                "Others are changing the same records just now. Give the command again: "
                "what it has not done yet is done then."
            ) from error
        raise Trouble(f"The database cannot be used now: {error.orig}".strip()) from error
    except DBAPIError as error:
        raise Trouble(f"The database refused: {error.orig}".strip()) from error


class AppCommands(AppGroup):
    """`app.cli`: the same commands for `flask --app backoffice`, whose app is there already."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Every command."""
        return sorted({*self.commands, *COMMANDS})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now; run, it finds what the console's finds."""
        command = command_named(name)
        if command is None:
            return super().get_command(ctx, name)
        prepared = copy(command)
        prepared.invoke = lambda ctx: _invoke(command, ctx)  # type: ignore[method-assign]
        return prepared


def _invoke(command: click.Command, ctx: click.Context) -> object:
    logs.configure("WARNING")  # standard output is the command's
    with commanding():
        if has_app_context() and command.name not in WITHOUT_DATABASE:
            current_app.config.update(PATIENCE)
            ctx.with_resource(database_in_use(current_app.config))
        return command.invoke(ctx)
