"""The planner's statistics, as fresh as autovacuum would have made them a minute later.

Where there are none, PostgreSQL expects one row of any range of ids, and sums up everybody's lines
once for every owner. Whoever is about to compare all of a book that was imported or restored a
moment ago asks for them first. Work over a few owners does well without.
"""

from sqlalchemy import Connection, Engine, text

MANY_BYTES = 64 * 1024
"""Tables that are smaller cost little, whatever the planner thinks of them."""

_STALE = text("""
    SELECT quote_ident(c.relname)
    FROM pg_class AS c
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
      AND pg_relation_size(c.oid) > :many
      AND (c.reltuples < 0 OR pg_stat_get_mod_since_analyze(c.oid) > 1000 + c.reltuples / 10)
    ORDER BY c.relname
""")


def refresh(engine: Engine) -> None:
    """Analyze the tables that are new to the planner, or of which a tenth has changed since.

    Passes over those that somebody else is analyzing, and those that this role may not (before
    PostgreSQL 17 only their owner may): autovacuum comes to them.
    """
    with engine.begin() as connection:
        names = stale(connection)
        if names:
            connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {', '.join(names)}")


def stale(connection: Connection) -> list[str]:
    """The names, quoted, of the tables whose statistics are missing or old."""
    return list(connection.scalars(_STALE, {"many": MANY_BYTES}))
