"""Trouble: an error that prevents a command or process from doing its work, as a sentence."""

import click


class Trouble(click.ClickException):
    """Prints a sentence on standard error and exits with status 2, in every program."""

    exit_code = 2
