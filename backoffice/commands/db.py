"""`backoffice db …`: Flask-Migrate's commands, and the routine."""

import logging
import sys

import click
from flask.cli import with_appcontext
from flask_migrate.cli import db as migrations

from ..app.command_line import TROUBLE
from .meaning import set_meaning
from .psql import psql

OFFERED = ("upgrade", "downgrade", "current", "history", "heads", "show", "check", "revision")
"""Flask-Migrate's commands that apply here: migrations have no branches, and `stamp` is never used."""


class Said(logging.Handler):
    """Prints a log record as a plain sentence on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record's message."""
        click.echo(record.getMessage(), err=True)


class Database(click.Group):
    """Flask-Migrate's group; errors of its commands are printed as a sentence, with exit status 2 (trouble)."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        log = logging.getLogger("flask_migrate")
        log.handlers, log.propagate = [Said()], False
        try:
            return super().invoke(ctx)
        except SystemExit as end:
            is_theirs = ctx.invoked_subcommand in OFFERED
            sys.exit(TROUBLE if end.code and is_theirs else end.code)


group = Database(
    "db",
    {name: migrations.commands[name] for name in OFFERED}
    | {"set-meaning": set_meaning, "psql": psql},
    params=migrations.params,
    callback=migrations.callback,
    help="The database itself: its schema, triggers, grants and statistics.",
)


@group.command("routine")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@with_appcontext
def database_routine(as_json: bool) -> None:
    """Renew statistics; look at indexes, slow queries and the growth of tables."""
    from ..schedules.cli import run_here

    run_here("database-routine", as_json=as_json)
