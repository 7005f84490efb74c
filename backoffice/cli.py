"""The console command `backoffice`: what it offers, and what all of it has in common."""

import json
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup, FlaskGroup
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from . import config, create_app, logs
from .commands import Trouble, operator
from .edge import WAITED_IN_VAIN, sqlstate_of
from .embedded import EmbeddedError, Services
from .figures.actor import acting_as

COMMANDS = {
    "audit": "backoffice.audit.cli:group",
    "backfill": "backoffice.billing.migrating.cli:backfill",
    "demo": "backoffice.demo.cli:demo",
    "dev": "backoffice.supervisor:dev",
    "figures": "backoffice.reconciliation.cli:group",
    "import": "backoffice.imports.cli:import_command",
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


class Commands(FlaskGroup):
    """Loads what is asked for and no more; every trouble becomes a sentence and exit status 2."""

    def __init__(self, **extra: Any) -> None:
        super().__init__(add_default_commands=False, add_version_option=False, **extra)
        self.params = list(extra.get("params") or ())  # there is one app: no --app, no --env-file

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Every command, without starting the app for it."""
        return sorted({*self.commands, *COMMANDS})

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if name in COMMANDS:
            module, _, attribute = COMMANDS[name].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        return self.commands.get(name)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command in its operator's name."""
        try:
            with acting_as(operator()):
                return super().invoke(ctx)
        except (config.ConfigurationError, EmbeddedError) as error:
            raise Trouble(str(error)) from error
        except OperationalError as error:
            if sqlstate_of(error) in WAITED_IN_VAIN:
                raise Trouble(
                    "Others are changing the same records just now. Give the command again: "
                    "what it has not done yet is done then."
                ) from error
            raise Trouble(f"The database cannot be used now: {error.orig}".strip()) from error
        except DBAPIError as error:
            raise Trouble(f"The database refused: {error.orig}".strip()) from error


def app_for_command() -> Flask:
    """The app, on embedded services that run at least until the command is done.

    A command has time, but not for ever: it waits a minute for a lock.
    """
    settings = config.load()
    logs.configure("WARNING")
    if settings["EMBEDDED_POSTGRES"]:
        services = Services(settings["BACKOFFICE_HOME"])
        root = click.get_current_context().find_root()
        sentences = root.with_resource(services.in_use(services.postgres))
        for sentence in sentences[len(services.places.notices) :]:  # the notices are for `dev`
            click.echo(sentence, err=True)
    return create_app({"STATEMENT_TIMEOUT": 0, "LOCK_TIMEOUT": 60_000})


@click.group(cls=Commands, create_app=app_for_command)
@click.version_option(package_name="backoffice")
def main() -> None:
    """Backoffice: stored totals that explain themselves, prove themselves and heal themselves."""


@main.command("info", with_appcontext=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with passwords.")
def info(as_json: bool) -> None:
    """Say which version this is and where its data lives."""
    settings = config.load()
    urls = ("database_url", "admin_database_url", "migration_database_url")
    facts = {
        "version": version("backoffice"),
        **{name: config.plain_url(settings[name.upper()]) for name in urls},
        "redis_url": settings["REDIS_URL"],
        "home": str(settings["BACKOFFICE_HOME"]),
        "address": f"http://{settings['HOST']}:{settings['PORT']}",
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        shown = value if name not in urls else make_url(value).render_as_string()
        click.echo(f"{name:24}{shown}")


database = AppGroup("db", help="The database itself.")
main.add_command(database)


@database.command("upgrade")
def upgrade_database() -> None:
    """Bring the database up to date: migrations, triggers, grants."""
    from .upgrade import upgrade

    for line in upgrade(current_app):
        click.echo(line)
    click.echo("The database is up to date.")


@database.command("routine")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def database_routine(as_json: bool) -> None:
    """Renew statistics; look at indexes, slow queries and the growth of tables."""
    from .schedules.cli import run_here

    run_here("database-routine", as_json=as_json)
