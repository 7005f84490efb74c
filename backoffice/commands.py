"""What commands share: exit statuses, trouble as a sentence, in whose name they act, and their database."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from getpass import getuser
from typing import Any

import click

from .embedded import Services
from .trouble import Trouble

CLEAN, FOUND, TROUBLE = 0, 1, Trouble.exit_code
"""Exit statuses, as `diff` has them: done, something found or refused, could not be done."""

PATIENCE: dict[str, Any] = {"STATEMENT_TIMEOUT": 0, "LOCK_TIMEOUT": 60_000}
"""Settings of a process that nobody waits for at a screen: it has time, but waits a minute for a lock."""

__all__ = ["CLEAN", "FOUND", "PATIENCE", "TROUBLE", "Trouble", "database_in_use", "operator"]


def operator() -> str:
    """The actor of a command: `cli:` and the system's account; a container may have none."""
    try:
        return f"cli:{getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"


@contextmanager
def database_in_use(settings: Mapping[str, Any]) -> Iterator[None]:
    """The embedded PostgreSQL, if that is the one, runs at least until the end."""
    if not settings["EMBEDDED_POSTGRES"]:
        yield
        return
    services = Services(settings["BACKOFFICE_HOME"])
    with services.in_use(services.postgres) as sentences:
        for sentence in sentences[len(services.places.notices) :]:  # the notices are for `dev`
            click.echo(sentence, err=True)
        yield
