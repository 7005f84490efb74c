"""Writing without triggers, so that nothing is noted, refused or recomputed."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from backoffice.audit.facts import facts_by_table

LOCKS_END = "-c lock_timeout=30s"
"""An option of tests' connections: a lock that a test left behind fails that test and does not block the suite."""


@contextmanager
def past_every_trigger(admin_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection with a superuser's role and all triggers off, in autocommit mode."""
    with psycopg.connect(admin_database_url, autocommit=True, options=LOCKS_END) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def tell_of_everything(
    connection: psycopg.Connection[Any], tables: Collection[str] | None = None
) -> None:
    """Record the present rows of every table, or of these, in the audit trail, as if they had been entered.

    For books that were written without triggers, and for forged facts that a user has accepted.
    """
    connection.execute("SET timezone = 'UTC'")
    for facts in facts_by_table().values():
        name, columns = facts.name, [column.key for column in facts.columns]
        if tables is not None and name not in tables:
            continue
        connection.execute(
            "INSERT INTO audit_events (table_name, row_id, action)"
            f" SELECT '{name}', e.row_id, 'DELETE' FROM audit_events e WHERE e.table_name = '{name}'"
            f" AND e.row_id IS NOT NULL AND NOT EXISTS (SELECT FROM {name} r WHERE r.id::text = e.row_id)"
            " GROUP BY e.row_id"
        )
        connection.execute(
            "INSERT INTO audit_events (table_name, row_id, action, after)"
            f" SELECT '{name}', r.id::text, 'INSERT', (SELECT jsonb_object_agg(key, value)"
            f" FROM jsonb_each(to_jsonb(r)) WHERE key = ANY (%s)) FROM {name} r",
            (columns,),
        )
