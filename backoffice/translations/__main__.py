"""`python -m backoffice.translations [compile]`."""

import sys

from . import compile, missing, update


def main(arguments: list[str]) -> int:
    """Update (or only compile) the catalogues; 1 if an Indonesian translation is missing."""
    if arguments == ["compile"]:
        compile()
        return 0
    update()
    waiting = list(missing("id"))
    for message in waiting:
        print(f"No Indonesian yet: {message.id!r}")
    return 1 if waiting else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
