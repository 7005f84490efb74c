"""Trouble: an error that prevents a command or process from doing its work, as a sentence."""

import click


class Trouble(click.ClickException):
    """Prints a sentence on standard error and exits with status 2, in every program."""

    exit_code = 2


class Unwritable(Trouble):
    """A file of the home cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"{error.filename} cannot be written: {error.strerror}. "
            "Set BACKOFFICE_HOME to a folder that this user may write to."
        )
