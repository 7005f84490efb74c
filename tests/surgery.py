"""Writing past everything that would note it, refuse it or keep it right."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg


@contextmanager
def past_every_trigger(admin_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser who writes with every trigger off; each statement is committed at once."""
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection
