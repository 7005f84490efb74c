"""Metrics of PostgreSQL: cache hits, connections, growth of tables; and tokens that expire."""

from collections.abc import Iterator

from sqlalchemy import Connection, bindparam, func, select, text

from ..app.measures import Measure, Reading, Source
from ..base import Base, table_of
from ..people.models import ApiToken

TOKENS = table_of(ApiToken)

INDEX_HITS = Measure(
    "backoffice_database_index_hit_ratio",
    "Share of index blocks that were found in PostgreSQL's memory, 0 to 1.",
)
TABLE_HITS = Measure(
    "backoffice_database_table_hit_ratio",
    "Share of table blocks that were found in PostgreSQL's memory, 0 to 1.",
)
CONNECTIONS = Measure(
    "backoffice_database_connections", "Connections to this database, by what they do.", ("state",)
)
MAX_CONNECTIONS = Measure(
    "backoffice_database_connections_max", "Connections that PostgreSQL takes at most."
)
OLDEST_TRANSACTION = Measure(
    "backoffice_database_oldest_transaction_seconds",
    "Age of our oldest open transaction: while it is open, nothing younger is tidied up.",
)
SIZE = Measure("backoffice_database_bytes", "Size of the database on disk.")
TABLE_BYTES = Measure(
    "backoffice_table_bytes", "Size of a table on disk, by what it holds.", ("table", "part")
)
TABLE_ROWS = Measure(
    "backoffice_table_rows",
    "Rows of a table, about: live ones, and dead ones that wait to be tidied up.",
    ("table", "state"),
)
TABLE_WRITES = Measure(
    "backoffice_table_writes",
    "Rows written to a table since PostgreSQL began to count.",
    ("table", "kind"),
    "counter",
)
TOKEN_ENDS = Measure(
    "backoffice_token_expiry_timestamp_seconds", "When a live token expires.", ("name", "scope")
)

HIT_RATIOS = text("""
SELECT coalesce(sum(idx_blks_hit) / nullif(sum(idx_blks_hit + idx_blks_read), 0), 1),
       coalesce(sum(heap_blks_hit) / nullif(sum(heap_blks_hit + heap_blks_read), 0), 1)
FROM pg_statio_user_tables
""")

SESSIONS = text("""
SELECT coalesce(state, 'other'), count(*),
       coalesce(max(extract(epoch FROM clock_timestamp() - xact_start))
                FILTER (WHERE pid <> pg_backend_pid()), 0)
FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1
""")

TABLES = text("""
SELECT relname, pg_table_size(relid), pg_indexes_size(relid), n_live_tup, n_dead_tup,
       n_tup_ins, n_tup_upd, n_tup_del
FROM pg_stat_user_tables WHERE schemaname = 'public' AND relname = ANY(:names)
""").bindparams(bindparam("names"))
"""PostgreSQL's own statistics: reading them costs the same however large the tables are."""


def _memory(connection: Connection) -> Iterator[Reading]:
    indexes, tables = connection.execute(HIT_RATIOS).one()
    yield INDEX_HITS.is_now(indexes)
    yield TABLE_HITS.is_now(tables)


def _sessions(connection: Connection) -> Iterator[Reading]:
    rows = connection.execute(SESSIONS).all()
    for state, count, _oldest in rows:
        yield CONNECTIONS.is_now(count, state)
    yield OLDEST_TRANSACTION.is_now(max((row[2] for row in rows), default=0))
    most = connection.execute(select(func.current_setting("max_connections"))).scalar_one()
    yield MAX_CONNECTIONS.is_now(int(most))


def _growth(connection: Connection) -> Iterator[Reading]:
    size = func.pg_database_size(func.current_database())
    yield SIZE.is_now(connection.execute(select(size)).scalar_one())
    for row in connection.execute(TABLES, {"names": list(Base.metadata.tables)}):
        name, rows_size, indexes_size, live, dead, inserted, updated, deleted = row
        yield TABLE_BYTES.is_now(rows_size, name, "rows")
        yield TABLE_BYTES.is_now(indexes_size, name, "indexes")
        yield TABLE_ROWS.is_now(live, name, "live")
        yield TABLE_ROWS.is_now(dead, name, "dead")
        for kind, count in (("insert", inserted), ("update", updated), ("delete", deleted)):
            yield TABLE_WRITES.is_now(count, name, kind)


def _tokens(connection: Connection) -> Iterator[Reading]:
    ends = func.extract("epoch", TOKENS.c.expires_at)
    live = (TOKENS.c.revoked_at.is_(None), TOKENS.c.expires_at.is_not(None))
    for name, scope, at in connection.execute(
        select(TOKENS.c.name, TOKENS.c.scope, ends).where(*live)
    ):
        yield TOKEN_ENDS.is_now(at, name, scope)


SOURCES = (
    Source("memory", (INDEX_HITS, TABLE_HITS), _memory),
    Source("sessions", (CONNECTIONS, MAX_CONNECTIONS, OLDEST_TRANSACTION), _sessions),
    Source("growth", (SIZE, TABLE_BYTES, TABLE_ROWS, TABLE_WRITES), _growth),
    Source("tokens", (TOKEN_ENDS,), _tokens),
)
