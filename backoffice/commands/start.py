"""The console command's first step: it reads the rest."""

import gc

from ..app.loading import unread


def main() -> None:
    """Run `backoffice`. Garbage is looked for when the command's app is there (`cli`)."""
    gc.disable()
    with unread("rich"):  # with which structlog would paint tracebacks; our logs are lines of JSON
        import structlog  # noqa: F401 (read for what comes after, while rich is away)
    from . import cli

    cli.main()
