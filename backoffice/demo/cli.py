"""`backoffice demo …`."""

import json
from dataclasses import asdict

import click
from flask import current_app
from flask.cli import AppGroup

from ..app.command_line import Trouble
from . import loading

demo = AppGroup("demo")


@demo.command("load")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def load(as_json: bool) -> None:
    """Load the demo company into an empty book, and say who can sign in."""
    try:
        people = loading.load()
    except loading.DemoError as error:
        raise Trouble(str(error)) from error
    if not loading.are_kept(people):
        home = current_app.config["BACKOFFICE_HOME"]
        click.echo(f"{home} cannot be written, so these passwords are not kept.", err=True)
    if as_json:
        click.echo(json.dumps({"sign_ins": [asdict(person) for person in people]}))
        return
    for person in people:
        click.echo(f"{person.role:<16} {person.email:<36} password {person.password}")
