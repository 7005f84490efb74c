"""What commands share: exit statuses, trouble as a sentence, and in whose name they act."""

from getpass import getuser

import click

CLEAN, FOUND, TROUBLE = 0, 1, 2
"""Exit statuses, as `diff` has them: done, something found or refused, could not be done."""


class Trouble(click.ClickException):
    """A sentence on standard error and exit status 2."""

    exit_code = TROUBLE


def operator() -> str:
    """The actor of a command: `cli:` and the system's account; a container may have none."""
    try:
        return f"cli:{getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"
