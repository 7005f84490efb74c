"""`backoffice db psql`: PostgreSQL's own client, at this copy's database."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import make_url

from ..app import config
from ..app.command_line import TROUBLE, Trouble
from ..database.embedded import EmbeddedError, Folders, Postgres

ROLES = {
    "app": "DATABASE_URL",
    "owner": "MIGRATION_DATABASE_URL",
    "admin": "ADMIN_DATABASE_URL",
}
"""The role's name here → the setting with its address."""

ARGUMENTS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("psql", context_settings=ARGUMENTS)
@click.option(
    "--as",
    "role",
    type=click.Choice(list(ROLES)),
    default="owner",
    show_default=True,
    help="The database role: admin is a superuser, where the database is embedded.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_appcontext
def psql(role: str, arguments: tuple[str, ...]) -> None:
    """Open psql at this database, or pass it ARGUMENTS, such as -c 'SELECT 1'. Nothing needs to be installed."""
    url = make_url(config.plain_url(current_app.config[ROLES[role]]))
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    address = url.set(password=None).render_as_string(hide_password=False)
    command = [_program(current_app.config), address, *arguments]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is psql's
    try:
        done = subprocess.run(command, env=environment, check=False)
    finally:
        signal.signal(signal.SIGINT, before)
    if done.returncode:
        sys.exit(TROUBLE)


def _program(settings: Mapping[str, Any]) -> str:
    """The psql on the PATH, else the one that comes with the embedded PostgreSQL."""
    if (installed := shutil.which("psql")) is not None:
        return installed
    try:
        return str(Postgres(Folders.of(settings["BACKOFFICE_HOME"])).psql())
    except EmbeddedError as error:
        raise Trouble("There is no psql on the PATH. Install PostgreSQL's client.") from error
