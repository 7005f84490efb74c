"""The commands: of the console command `backoffice`, and of `flask --app backoffice`, which are the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from importlib import import_module
from typing import Any

import click
from flask import Flask, current_app, has_app_context
from flask.cli import AppGroup, FlaskGroup
from sqlalchemy.exc import DBAPIError, OperationalError

from . import config, create_app, logs
from .book import MeaningDiffers, difference_in
from .commands import PATIENCE, Trouble, database_in_use, operator
from .edge import WAITED_IN_VAIN, sqlstate_of
from .figures.actor import acting_as
from .figures.errors import AnotherDefinition

COMMANDS = {
    "audit": "backoffice.drift.facts.cli:group",
    "backfill": "backoffice.billing.migrating.cli:backfill",
    "db": "backoffice.database_cli:group",
    "demo": "backoffice.demo.cli:demo",
    "dev": "backoffice.supervisor:dev",
    "figures": "backoffice.reconciliation.cli:group",
    "import": "backoffice.imports.cli:import_command",
    "info": "backoffice.information:info",
    "migrate": "backoffice.billing.migrating.cli:migrate",
    "orders": "backoffice.orders.cli:group",
    "recalculate": "backoffice.billing.cli:group",
    "schedule": "backoffice.schedules.cli:group",
    "runs": "backoffice.runs.cli:group",
    "targets": "backoffice.targets.cli:group",
    "tokens": "backoffice.people.tokens_cli:group",
    "users": "backoffice.people.cli:users",
    "validate": "backoffice.billing.migrating.cli:validate",
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


class Console(FlaskGroup):
    """`backoffice`: loads what is asked for and no more."""

    def __init__(self, **extra: Any) -> None:
        super().__init__(add_default_commands=False, add_version_option=False, **extra)
        self.params = list(extra.get("params") or ())  # there is one app: no --app, no --env-file

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Every command, without starting the app for it."""
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now."""
        return command_named(name)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command in its operator's name."""
        with commanding():
            return super().invoke(ctx)


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


def app_for_command() -> Flask:
    """The app, on embedded services that run at least until the command is done."""
    settings = config.load()
    logs.configure("WARNING")
    click.get_current_context().find_root().with_resource(database_in_use(settings))
    return create_app(PATIENCE)


@click.group(cls=Console, create_app=app_for_command)
@click.version_option(package_name="backoffice")
def main() -> None:
    """Backoffice: stored totals that explain themselves, prove themselves and heal themselves."""
