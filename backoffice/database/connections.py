"""The app's connections to PostgreSQL, which keep their prepared statements."""

from collections.abc import Mapping
from typing import Any, cast

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

KEPT = 300
"""How many statements a connection keeps prepared; those of 76 pages are 200, which take PostgreSQL some 16 MB."""


class LastingConnection(psycopg.Connection[Any]):
    """A connection that keeps its prepared statements when a transaction is rolled back.

    psycopg forgets them at each ROLLBACK, in case a table that they name was made within it; PostgreSQL looks up anew
    what has changed. Every page ends its reading by a ROLLBACK, so it would parse and plan nearly every statement each
    time it is sent. `has_failed` is set where a statement has failed and only a savepoint was rolled back since.
    """

    has_failed = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.prepared_max = KEPT

    def rollback(self) -> None:
        """End the transaction; the statements are forgotten only if one has failed, as a kept one may be the cause."""
        if self.pgconn.transaction_status == TransactionStatus.INTRANS and not self.has_failed:
            with self.lock:
                ended = self.pgconn.exec_(b"ROLLBACK")
            if ended.status == ExecStatus.COMMAND_OK:
                return
        super().rollback()
        self.has_failed = False


def row_outside(engine: Engine, statement: str, values: Mapping[str, Any]) -> Any:
    """The first row of a statement, or None, executed on its own and outside of every transaction.

    Every page needs one such statement, so it uses the driver: SQLAlchemy takes three times as long. Raises its errors.
    """
    pooled, connection, lost = None, None, False
    try:
        pooled = engine.raw_connection()
        connection = cast(Any, pooled.driver_connection)
        connection.autocommit = True
        row = connection.execute(statement, values).fetchone()
        connection.autocommit = False
    except BaseException as error:
        if pooled is not None:
            lost = engine.dialect.is_disconnect(error, connection, None)  # type: ignore[arg-type]
            pooled.invalidate(error)  # whatever failed, the connection must not be reused
        if not isinstance(error, psycopg.Error):
            raise
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error,
            hide_parameters=True, connection_invalidated=lost, dialect=engine.dialect,
        ) from error  # fmt: skip
    finally:
        if pooled is not None:
            pooled.close()
    return row
