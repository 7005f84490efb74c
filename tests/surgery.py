"""Writing past everything that would note it, refuse it or keep it right."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from backoffice.audit.facts import facts_by_table

LOCKS_END = "-c lock_timeout=30s"
"""For connections of tests: what a test left locked fails the test, and not the whole suite's time."""


@contextmanager
def past_every_trigger(admin_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser who writes with every trigger off; each statement is committed at once."""
    with psycopg.connect(admin_database_url, autocommit=True, options=LOCKS_END) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def tell_of_everything(
    connection: psycopg.Connection[Any], tables: Collection[str] | None = None
) -> None:
    """Let the audit trail say of every table, or of these, what it holds now, as if it had been entered so.

    For books that are made past the triggers, and for forgeries that a user has accepted.
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
