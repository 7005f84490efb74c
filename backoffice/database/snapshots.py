"""Read-only snapshots: one consistent state of the whole database for everything that is read in them."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Engine


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A separate connection that reads one snapshot (REPEATABLE READ) and cannot write."""
    with engine.connect() as plain:
        connection = plain.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        yield connection
        if not connection.invalidated:
            _end(connection)


def _end(connection: Connection) -> None:
    """End the snapshot by COMMIT: after a ROLLBACK the driver drops its prepared statements.

    On the driver's connection, because the app's own commit would first write, which a snapshot cannot.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    driver.commit()
