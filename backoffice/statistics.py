"""The planner's statistics, as fresh as autovacuum would have made them a minute later.

Where there are none, PostgreSQL expects one row of any range of ids, and sums up everybody's lines
once for every owner. Whoever is about to compare all of a book that was imported or restored a
moment ago asks for them first. Work over a few owners does well without.
"""

import structlog
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError

log = structlog.get_logger("backoffice.database")

MANY_BYTES = 64 * 1024
"""Tables that are smaller cost little, whatever the planner thinks of them."""

PATIENCE = "50ms"
"""How long to wait for a table that somebody else analyzes already, or builds an index on."""

_STALE = text("""
    SELECT c.relname
    FROM pg_class AS c
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
      AND pg_relation_size(c.oid) > :many
      AND (c.reltuples < 0 OR pg_stat_get_mod_since_analyze(c.oid) > 1000 + c.reltuples / 10)
    ORDER BY c.relname
""")


def refresh(engine: Engine) -> None:
    """Renew those of the tables that are new to the planner, or of which a tenth has changed since.

    Each in a transaction of its own; one that cannot be, because somebody else is at it, is passed over:
    what follows is right without, only slower. A function of the tables' owner analyzes, for the app may not.
    """
    with engine.connect() as connection:
        names = stale(connection)
    for name in names:
        try:
            with engine.begin() as connection:
                connection.execute(select(func.set_config("lock_timeout", PATIENCE, True)))
                connection.execute(select(func.public.renew_statistics(name)))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            log.info("statistics not renewed", table=name, error=str(error.orig).strip())


def stale(connection: Connection) -> list[str]:
    """The names of the tables whose statistics are missing or old."""
    return list(connection.scalars(_STALE, {"many": MANY_BYTES}))
