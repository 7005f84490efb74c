"""The console command `backoffice`: a group that imports only the requested command."""

from typing import Any

import click
from flask import Flask
from flask.cli import FlaskGroup

from ..app import config, create_app, create_background_app, logs
from ..app.command_line import PATIENCE, database_in_use
from ..app.commands import COMMANDS, WITH_SCREENS, WITHOUT_DATABASE, command_named, commanding
from ..app.loading import collect_again


class Console(FlaskGroup):
    """`backoffice`: imports only the requested command."""

    def __init__(self, **extra: Any) -> None:
        super().__init__(add_default_commands=False, add_version_option=False, **extra)
        self.params = list(extra.get("params") or ())  # there is one app: no --app, no --env-file

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names of all commands, without starting the app."""
        return sorted(COMMANDS)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their short help, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].sentence) for name in sorted(COMMANDS)])

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now."""
        command = command_named(name)
        if name in WITHOUT_DATABASE:  # otherwise the app is created first
            collect_again()
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command with its operator as the actor."""
        with commanding():
            return super().invoke(ctx)


def app_for_command() -> Flask:
    """Create the app, with embedded services that run at least until the command is done."""
    settings = config.load()
    logs.configure("WARNING")
    command = click.get_current_context()
    command.find_root().with_resource(database_in_use(settings))
    create = create_app if _name_of(command) in WITH_SCREENS else create_background_app
    app = create(PATIENCE)
    collect_again()
    return app


def _name_of(command: click.Context) -> str:
    """The command as typed after `backoffice`: the group and the command."""
    names: list[str] = []
    while command.parent is not None:
        names.insert(0, command.info_name or "")
        command = command.parent
    return " ".join(names)


@click.group(cls=Console, create_app=app_for_command)
@click.version_option(package_name="backoffice")
def main() -> None:
    """Backoffice: stored totals that explain themselves, prove themselves and heal themselves."""
