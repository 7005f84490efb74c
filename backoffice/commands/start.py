"""The console command's first step: it reads the rest."""

import gc

from ..app.loading import uncollected, unread


def main() -> None:
    """Run `backoffice`."""
    with uncollected():
        with unread(
            "rich"
        ):  # with which structlog would paint tracebacks; our logs are lines of JSON
            import structlog  # noqa: F401 (read for what comes after, while rich is away)
        from . import cli
    gc.freeze()  # what was read stays
    cli.main()
