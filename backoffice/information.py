"""`backoffice info`: which version this is, and where its data lives."""

import json
from importlib.metadata import version

import click
from sqlalchemy import make_url

from . import config
from .supervisor import running_at

NONE_RUNS = "no copy runs from this home now; `make run` starts one"


@click.command("info")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with passwords.")
def info(as_json: bool) -> None:
    """Say which version this is, where its data lives, and where the running copy answers."""
    settings = config.load()
    urls = ("database_url", "admin_database_url", "migration_database_url")
    facts = {
        "version": version("backoffice"),
        **{name: config.plain_url(settings[name.upper()]) for name in urls},
        "redis_url": settings["REDIS_URL"],
        "home": str(settings["BACKOFFICE_HOME"]),
        "address": running_at(settings["BACKOFFICE_HOME"]),
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        shown = value if name not in urls else make_url(value).render_as_string()
        click.echo(f"{name:24}{shown or NONE_RUNS}")
