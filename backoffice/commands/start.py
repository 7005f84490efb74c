"""The entry point of the console command, which imports the rest."""

import gc

from ..app.loading import unread


def main() -> None:
    """Run `backoffice`. Garbage collection is off until the command's app is created (`cli`)."""
    gc.disable()
    with unread("rich"):  # structlog would use it to format tracebacks; our logs are lines of JSON
        import structlog  # noqa: F401 (read for what comes after, while rich is away)
    from . import cli

    cli.main()
