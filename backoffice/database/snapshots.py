"""One state of the whole database for everything that is read of it together."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection of its own that reads one snapshot (REPEATABLE READ) and cannot write."""
    with engine.connect() as plain:
        connection = plain.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        with (
            connection.begin()
        ):  # it commits: a ROLLBACK makes the driver forget what it has prepared
            yield connection
