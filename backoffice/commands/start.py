"""The console command's first step: it reads the rest."""

import gc

from ..app.loading import uncollected


def main() -> None:
    """Run `backoffice`."""
    with uncollected():
        from . import cli
    gc.freeze()  # what was read stays
    cli.main()
