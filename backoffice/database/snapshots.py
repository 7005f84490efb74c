"""One state of the whole database for everything that is read of it together."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Engine


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection of its own that reads one snapshot (REPEATABLE READ) and cannot write."""
    with engine.connect() as plain:
        connection = plain.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        yield connection
        if not connection.invalidated:
            _end(connection)


def _end(connection: Connection) -> None:
    """End it by COMMIT: after a ROLLBACK the driver forgets what it has prepared.

    By the driver itself, for a commit of the app's has something to do first that a snapshot cannot: to write.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    driver.commit()
