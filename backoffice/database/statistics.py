"""Renew the planner's statistics, without waiting for autovacuum.

Where there are none, PostgreSQL expects one row of any range of ids, and sums up all lines
once for every owner. A comparison of a whole book that was imported or restored a
moment ago therefore renews them first. Work over a few owners does well without.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError

from .objects import DatabaseObject

log = structlog.get_logger("backoffice.database")

RENEW_STATISTICS = DatabaseObject(
    "renew_statistics",
    "\nBEGIN\n    EXECUTE format('ANALYZE public.%I', wanted);\nEND ",
    settings=(("search_path", "pg_catalog, pg_temp"),), takes="wanted text", answers="void",
)  # fmt: skip
"""Only a table's owner may ANALYZE it; this function lets the app's role do that, and no more."""

MANY_BYTES = 64 * 1024
"""The smallest table size that is considered, in bytes; smaller tables are cheap with any plan."""

PATIENCE = "50ms"
"""How long to wait for a table that another session holds: it analyzes it already, or builds an index on it."""

PATIENCE_WITH_NEW = "1500ms"
"""The same for a table without statistics: autovacuum yields to a session that has waited for a second."""

SECONDS = 10
"""After which no further table is analyzed, and how long one may take: the caller holds a chunk meanwhile."""

_STALE = text("""
    SELECT c.relname, c.reltuples <= 0 AS is_new
    FROM pg_class AS c
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
      AND pg_relation_size(c.oid) > :many
      AND (c.reltuples <= 0 OR pg_stat_get_mod_since_analyze(c.oid) > 1000 + c.reltuples / 10)
    ORDER BY c.relname
""")


def refresh(engine: Engine) -> None:
    """Renew the statistics of tables that have none, or of which a tenth has changed since.

    Each in a transaction of its own; a table that another session holds is skipped:
    the work that follows is right without, only slower. A function of the tables' owner analyzes, since the
    app's role may not.
    """
    end = time.monotonic() + SECONDS
    for name, is_new in _tried(engine, stale, "all"):
        if time.monotonic() < end:
            _tried(engine, partial(_renew, name, PATIENCE_WITH_NEW if is_new else PATIENCE), name)


def stale(connection: Connection) -> Sequence[tuple[str, bool]]:
    """The tables with missing or outdated statistics, and whether they are missing."""
    _wait_no_longer_than(connection, PATIENCE)  # even reading a table's size can block
    return [(row.relname, row.is_new) for row in connection.execute(_STALE, {"many": MANY_BYTES})]


def _renew(name: str, patience: str, connection: Connection) -> Sequence[Any]:
    _wait_no_longer_than(connection, patience)
    return connection.execute(select(func.public.renew_statistics(name))).all()


def _wait_no_longer_than(connection: Connection, patience: str) -> None:
    limits = {"lock_timeout": patience, "statement_timeout": f"{SECONDS}s"}
    connection.execute(select(*(func.set_config(*limit, True) for limit in limits.items())))


def _tried(
    engine: Engine, work: Callable[[Connection], Sequence[Any]], table: str
) -> Sequence[Any]:
    try:
        with engine.begin() as connection:
            return work(connection)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        log.info("statistics not renewed", table=table, error=str(error.orig).strip())
        return ()
