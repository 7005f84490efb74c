"""Whether a connection is being drained: what the drain itself reads settles nothing, for the drain does."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

DRAINING = "figures.draining"


@contextmanager
def draining(connection: Connection) -> Iterator[None]:
    """While inside, the connection is being drained."""
    info = connection.info  # a connection that is lost in the drain has none any more
    info[DRAINING] = True
    try:
        yield
    finally:
        info[DRAINING] = False


def is_draining(connection: Connection) -> bool:
    """Whether the connection is being drained at the moment."""
    return bool(connection.info.get(DRAINING))
