"""Trouble: what keeps a command or a process from doing its work, as a sentence."""

import click


class Trouble(click.ClickException):
    """A sentence on standard error and exit status 2, whichever program was called."""

    exit_code = 2
