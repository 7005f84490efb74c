"""The quarterly review of the database: statistics, growth of tables, indexes, slow queries, codes that look alike.

It renews the planner's statistics and changes nothing else: what should be done about an index or
a query is for people to decide, so it is listed among the run's items as skipped, with the reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import current_app
from sqlalchemy import (
    BigInteger,
    Connection,
    Numeric,
    Row,
    Text,
    case,
    cast,
    column,
    func,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.exc import DBAPIError

from ..app.domain import declared
from ..base import N_, table_of
from ..base.spelling import look_of
from ..runs.models import APPLIED, DONE, ITEM_FAILED, SKIPPED, UNCHANGED, Run, RunItem
from ..runs.work import Asked, Chunk, Step, Work
from .slow_log import slow_statements

RUNS, ITEMS = table_of(Run), table_of(RunItem)

TABLE, INDEX, QUERY, CODE = N_("Table"), N_("Index"), N_("Query"), N_("Code")
"""The subjects of its items; a table's values are its sizes in bytes."""

UNUSED = N_("Not used since PostgreSQL began to count. Consider dropping it.")
BLOATED = N_("More than twice as large as its entries need. Consider REINDEX INDEX CONCURRENTLY.")
ALIKE = N_("These look alike. Rename all but one of them.")
SLOW = N_("Takes more than 500 ms on average. Look at its plan.")

WORTH_A_LOOK = 1_000_000
"""Bytes; a smaller index is not worth rebuilding or dropping for its size."""

ENTRY_BYTES, PAGE_FILL = 16, 0.9
"""Bytes of an index entry beside its values (pointer, header, alignment), and the share of a page that is filled."""

SLOW_MILLISECONDS = 500
MOST_QUERIES = 20
LONGEST_QUERY = 500

MOST_ALIKE = 100
"""Groups of codes that look alike which are listed of a table, and codes of a group."""


def plan(connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    """A chunk for every table, then one for all indexes, one for the queries, and one for the codes of each record."""
    tables = connection.scalars(select(TABLES.c.relname).where(_ours).order_by(TABLES.c.relname))
    for name in tables.all():
        yield Chunk({"table": name}, 1)
    indexes = select(func.count()).select_from(INDEXES).where(_ours_too)
    yield Chunk({"look": "indexes"}, connection.scalar(indexes) or 0, 1)
    yield Chunk({"look": "queries"}, 0, 2)
    for key, record in declared().records.items():
        if isinstance(record.name.type, Text) and record.by_name.get(record.argument):
            yield Chunk({"codes": key}, 0, 3)


def work(work: Work) -> None:
    """Perform one chunk: a table, all indexes, the queries, or the codes of a record."""
    with work.transaction(is_last=True) as step:
        if "table" in work.payload:
            _table(step, work.payload["table"], work.asked.id)
        elif "codes" in work.payload:
            _codes(step, work.payload["codes"])
        elif work.payload["look"] == "indexes":
            _indexes(step)
        else:
            _queries(step)


def result(connection: Connection, asked: Asked) -> Mapping[str, Any]:
    """The size of the tables (bytes), and the numbers of indexes worth a review, slow queries, and similar codes."""
    items = select(ITEMS.c.subject, ITEMS.c.error, ITEMS.c.after).where(ITEMS.c.run_id == asked.id)
    rows = connection.execute(items).all()
    size = sum(row.after["bytes"] for row in rows if row.subject == TABLE and row.after)
    named = {
        "unused_indexes": UNUSED,
        "bloated_indexes": BLOATED,
        "slow_queries": SLOW,
        "codes_alike": ALIKE,
    }
    counts = {name: sum(row.error == why for row in rows) for name, why in named.items()}
    return {"bytes": size, **counts, "queries_are_counted": _counts_queries(connection)}


def _catalogue(name: str, *columns: str) -> Any:
    return table(name, *(column(name) for name in columns), schema="pg_catalog")


TABLES = _catalogue(
    "pg_stat_user_tables", "relid", "schemaname", "relname", "n_live_tup", "n_dead_tup",
    "seq_scan", "idx_scan",
)  # fmt: skip
INDEXES = _catalogue(
    "pg_stat_user_indexes", "indexrelid", "relid", "schemaname", "relname", "indexrelname",
    "idx_scan",
)  # fmt: skip
DEFINITIONS = _catalogue("pg_index", "indexrelid", "indrelid", "indisunique", "indkey")
CLASSES = _catalogue("pg_class", "oid", "reltuples", "relam")
METHODS = _catalogue("pg_am", "oid", "amname")
ATTRIBUTES = _catalogue("pg_attribute", "attrelid", "attnum", "attname")
VALUES = _catalogue("pg_stats", "schemaname", "tablename", "attname", "avg_width", "null_frac")

_ours = TABLES.c.schemaname == "public"
_ours_too = INDEXES.c.schemaname == "public"


def _table(step: Step, name: str, run_id: int) -> None:
    """Renew the statistics of a table, and report its growth since the last routine."""
    step.tally.checked += 1
    try:
        with step.savepoint():
            step.connection.execute(select(func.public.renew_statistics(name)))
    except DBAPIError as error:
        step.tally.failed += 1
        step.item(TABLE, ITEM_FAILED, key={"table": name}, error=str(error.orig))
        return
    size = func.pg_total_relation_size(TABLES.c.relid).label("bytes")
    found = (
        step.connection.execute(
            select(
                size, TABLES.c.n_live_tup.label("rows"), TABLES.c.n_dead_tup.label("dead_rows"),
                TABLES.c.seq_scan.label("scans"), TABLES.c.idx_scan.label("index_scans"),
            ).where(_ours, TABLES.c.relname == name)
        )
        .mappings()
        .first()
    )  # fmt: skip
    if found is None:
        return  # dropped meanwhile
    step.tally.changed += 1
    step.item(
        TABLE, APPLIED,
        key={"table": name},
        before=_size_before(step.connection, name, run_id),
        after={"bytes": found["bytes"]},
        details={key: value for key, value in found.items() if key != "bytes"},
    )  # fmt: skip


def _size_before(connection: Connection, name: str, run_id: int) -> dict[str, Any]:
    """The table's size at the last routine; empty where there was none."""
    earlier = (
        select(ITEMS.c.after)
        .join(RUNS, RUNS.c.id == ITEMS.c.run_id)
        .where(
            RUNS.c.kind == "database.routine", RUNS.c.status == DONE, RUNS.c.id < run_id,
            ITEMS.c.subject == TABLE, ITEMS.c.key["table"].astext == name,
        )
        .order_by(ITEMS.c.id.desc())
        .limit(1)
    )  # fmt: skip
    return connection.scalar(earlier) or {}


@dataclass(frozen=True)
class Sized:
    """An index with its size, the size that its entries need, and how often it was read."""

    name: str
    table: str
    bytes: int
    needed: int | None
    scans: int
    is_unique: bool

    @property
    def complaint(self) -> str:
        """What should be reviewed; empty for an index without problems."""
        if self.bytes <= WORTH_A_LOOK:
            return ""
        if not self.is_unique and not self.scans:
            return UNUSED
        return BLOATED if self.needed is not None and self.bytes > 2 * self.needed else ""


def _indexes(step: Step) -> None:
    for index in _sized(step.connection):
        step.tally.checked += 1
        if not index.complaint:
            step.tally.unchanged += 1
            continue
        step.tally.skipped += 1
        step.item(
            INDEX, SKIPPED,
            key={"index": index.name},
            before={"bytes": index.bytes},
            after={"bytes": index.bytes},
            error=index.complaint,
            details={"table": index.table, "scans": index.scans, "needed": index.needed},
        )  # fmt: skip


def _sized(connection: Connection) -> Sequence[Sized]:
    """Every index; the size it needs is known only for B-trees over columns that the app may read."""
    widths = (
        select(func.sum(VALUES.c.avg_width * (1 - VALUES.c.null_frac)))
        .select_from(
            ATTRIBUTES.join(
                VALUES,
                (VALUES.c.attname == ATTRIBUTES.c.attname)
                & (VALUES.c.tablename == INDEXES.c.relname)
                & (VALUES.c.schemaname == INDEXES.c.schemaname),
            )
        )
        .where(
            ATTRIBUTES.c.attrelid == DEFINITIONS.c.indrelid,
            ATTRIBUTES.c.attnum == func.any(DEFINITIONS.c.indkey),
        )
        .correlate(INDEXES, DEFINITIONS)
        .scalar_subquery()
    )
    entries = func.greatest(CLASSES.c.reltuples, 0)
    bytes_needed = cast(entries * (widths + ENTRY_BYTES) / PAGE_FILL, BigInteger)
    needed = case((METHODS.c.amname == "btree", bytes_needed))
    query = (
        select(
            INDEXES.c.indexrelname, INDEXES.c.relname,
            func.pg_relation_size(INDEXES.c.indexrelid),
            needed.label("needed"), INDEXES.c.idx_scan, DEFINITIONS.c.indisunique,
        )
        .join(DEFINITIONS, DEFINITIONS.c.indexrelid == INDEXES.c.indexrelid)
        .join(CLASSES, CLASSES.c.oid == INDEXES.c.indexrelid)
        .join(METHODS, METHODS.c.oid == CLASSES.c.relam)
        .where(_ours_too)
        .order_by(func.pg_relation_size(INDEXES.c.indexrelid).desc(), INDEXES.c.indexrelname)
    )  # fmt: skip
    return [Sized(*row) for row in connection.execute(query)]


def _queries(step: Step) -> None:
    """Report the queries that take most time: from pg_stat_statements, else from the app's own logs."""
    rows: Sequence[Any]
    if _counts_queries(step.connection):
        rows = _heaviest(step.connection)
    elif current_app.config["EMBEDDED_POSTGRES"]:
        rows = slow_statements(current_app.config["BACKOFFICE_HOME"], MOST_QUERIES)
    else:
        return  # external servers keep their logs elsewhere
    for row in rows:
        is_slow = row.mean > SLOW_MILLISECONDS
        step.tally.checked += 1
        step.tally.skipped += is_slow
        step.tally.unchanged += not is_slow
        step.item(
            QUERY, SKIPPED if is_slow else UNCHANGED,
            key={"query": row.query[:LONGEST_QUERY]},
            before={}, after={},
            error=SLOW if is_slow else "",
            details={"calls": row.calls, "mean_ms": str(row.mean), "total_ms": str(row.total)},
        )  # fmt: skip


def _codes(step: Step, key: str) -> None:
    """Report codes or numbers of a record that look alike: a new one is refused, these are from before."""
    record = declared().records[key]
    name: Any = record.name
    names = func.array_agg(aggregate_order_by(name.distinct(), name))
    alike = select(names).group_by(look_of(name)).having(func.count(name.distinct()) > 1)
    for codes in step.connection.scalars(alike.order_by(func.min(name)).limit(MOST_ALIKE)):
        step.tally.checked += 1
        step.tally.skipped += 1
        step.item(
            CODE, SKIPPED,
            key={"code": ", ".join(codes[:MOST_ALIKE])},
            before={}, after={}, error=ALIKE,
            details={"table": record.model.__tablename__},
        )  # fmt: skip


def _counts_queries(connection: Connection) -> bool:
    """Whether pg_stat_statements is installed, loaded, and readable."""
    extensions = _catalogue("pg_extension", "extname")
    there = select(func.count()).where(extensions.c.extname == "pg_stat_statements")
    loaded = func.current_setting("shared_preload_libraries", True).contains("pg_stat_statements")
    return bool(connection.scalar(there) and connection.scalar(select(loaded)))


def _heaviest(connection: Connection) -> Sequence[Row[*tuple[Any, ...]]]:
    statements = table(
        "pg_stat_statements",
        *(column(name) for name in ("query", "calls", "mean_exec_time", "total_exec_time", "dbid")),
    )
    databases = _catalogue("pg_database", "oid", "datname")
    ours = (
        select(databases.c.oid)
        .where(databases.c.datname == func.current_database())
        .scalar_subquery()
    )
    mean, total = (
        cast(statements.c.mean_exec_time, Numeric),
        cast(statements.c.total_exec_time, Numeric),
    )
    return connection.execute(
        select(
            func.left(statements.c.query, LONGEST_QUERY).label("query"),
            statements.c.calls,
            func.round(mean, 1).label("mean"),
            func.round(total, 1).label("total"),
        )
        .where(statements.c.dbid == ours)
        .order_by(statements.c.total_exec_time.desc())
        .limit(MOST_QUERIES)
    ).all()
