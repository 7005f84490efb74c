"""`backoffice info`: the version, and where the data is stored."""

import json
import re
from collections.abc import Mapping
from importlib.metadata import version

import click
from sqlalchemy import make_url

from ..app import config
from ..app.command_line import Trouble
from .supervisor import running_at

NONE_RUNS = "no copy runs from this home now; `make run` starts one"


@click.command("info")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with passwords.")
def info(name: str | None, as_json: bool) -> None:
    """Say which version this is, where its data lives, and where the running copy answers.

    With a NAME only that, for other programs: psql "$(backoffice info migration_database_url)".
    """
    settings = config.load()
    urls = ("database_url", "admin_database_url", "migration_database_url")
    facts = {
        "version": version("backoffice"),
        **{name: config.plain_url(settings[name.upper()]) for name in urls},
        "redis_url": settings["REDIS_URL"],
        "home": str(settings["BACKOFFICE_HOME"]),
        "address": running_at(settings["BACKOFFICE_HOME"]),
    }
    if name is not None:
        click.echo(_only(name, facts))
    elif as_json:
        click.echo(json.dumps({**facts, "warnings": config.warnings(settings)}))
    else:
        for each, value in facts.items():
            click.echo(f"{each:24}{_without_password(value) if value else NONE_RUNS}")
        for sentence in config.warnings(settings):
            click.echo(f"{'warning':24}{sentence}")


def _without_password(value: str) -> str:
    """A URL without its password; any other value unchanged."""
    if "://" not in value:
        return value
    return re.sub("(?<=[?&]password=)[^&]*", "***", make_url(value).render_as_string())


def _only(name: str, facts: Mapping[str, str | None]) -> str:
    if name not in facts:
        raise Trouble(f"{name} is not among these: {', '.join(facts)}.")
    value = facts[name]
    if value is None:
        raise Trouble(f"There is no {name}: {NONE_RUNS}.")
    return value
