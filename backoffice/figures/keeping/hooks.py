"""How the app's session keeps figures right: it drains before commit and before it reads a figure.

`NotingCursor` sees everything that is sent through the connection, COPY included, so no write
path of the session can miss the drain; writes by other programs are noted all the same.
"""

import re
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from weakref import WeakSet

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import (
    ClauseElement,
    Column,
    Connection,
    Engine,
    TableClause,
    UpdateBase,
    event,
)
from sqlalchemy.orm import (
    Mapper,
    ORMExecuteState,
    Session,
    SessionTransaction,
    UOWTransaction,
)
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.elements import ColumnClause, TextClause
from sqlalchemy.sql.visitors import iterate

from ...base.actor import actor
from ..computing.increments import Changes
from ..computing.registry import Registry
from . import holding
from .drain import DRAINING, drain
from .effects import effect_of

_ANSWERS_ROWS = re.compile(r"[\s(]*(select|with|table)\b", re.IGNORECASE)


class NotingCursor(psycopg.Cursor[Any]):
    """A cursor that reports writes to its connection, and their actor to the database."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Execute, noting a write first.

        A rollback to a savepoint may restore drained notes, so it counts as a write;
        and it resets the name of the actor, so that the next write sends it again.
        """
        effect = effect_of(query)
        if effect == "rolls back":
            driver: Any = self.connection
            if driver.info.transaction_status == TransactionStatus.INERROR:
                driver.has_failed = True
            answer = super().execute(query, params, **options)
            driver.has_written, driver.named_actor = True, ""
            return answer
        self._note_if_written(effect)
        return super().execute(query, params, **options)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        """Execute for each set of parameters, noting a write first."""
        self._note_if_written(effect_of(query))
        super().executemany(query, params_seq, **options)

    @contextmanager
    def copy(self, statement: Any, params: Any = None, **options: Any) -> Iterator[Any]:
        """COPY, noting a write first."""
        self._note()
        with super().copy(statement, params, **options) as copying:
            yield copying

    def stream(self, query: Any, params: Any = None, **options: Any) -> Any:
        """Execute row by row, noting a write first."""
        self._note_if_written(effect_of(query))
        return super().stream(query, params, **options)

    def _note_if_written(self, effect: str) -> None:
        if effect != "reads" and effect not in getattr(self.connection, "unwatched", ()):
            self._note()

    def _note(self) -> None:
        driver: Any = self.connection
        driver.has_written = driver.is_noted = True
        name = actor.get()
        if name != getattr(driver, "named_actor", ""):
            super().execute("SELECT set_config('backoffice.actor', %s, true)", (name,))
            driver.named_actor = name


def install(engine: Engine, registry: Registry, unwatched: Collection[str] = ()) -> None:
    """Make every connection of `engine` drain before it commits and before it reads a figure.

    Rows inserted and updated in `unwatched` tables need neither a drain nor the actor's name: no trigger sees them.
    """
    watched = {table.name for table in (*registry.sources, *registry.targets)}
    tables = "|".join(re.escape(t.name) for t in registry.targets)
    names = re.compile(rf"\b({tables})\b", re.IGNORECASE)

    @event.listens_for(engine, "connect")
    def _name_the_unwatched(driver: Any, _record: ConnectionPoolEntry) -> None:
        driver.unwatched = frozenset(unwatched) - watched

    @event.listens_for(engine, "before_execute")
    def _settle_before_reading(connection: Connection, clause: Any, *_: Any) -> None:
        if _pending(connection) and _reads_a_figure(clause, registry, names):
            settle_connection(connection, registry)

    @event.listens_for(engine, "before_cursor_execute")
    def _settle_before_reading_sql(connection: Connection, *statement: Any) -> None:
        _, sql, _, context, _ = statement
        if context.compiled is None and _pending(connection) and _names_in_a_read(sql, names):
            settle_connection(connection, registry)

    @event.listens_for(engine, "commit")
    def _settle_before_commit(connection: Connection) -> None:
        if _pending(connection):
            settle_connection(connection, registry)
        _forget(connection)

    event.listen(engine, "rollback", _forget)

    @event.listens_for(engine, "checkin")
    def _forget_when_returned(driver: Any, record: ConnectionPoolEntry) -> None:
        record.info.pop("figures.sessions", None)
        record.info.pop("figures.left", None)
        record.info.pop("figures.written", None)
        if driver is not None:
            _reset(driver)


def install_session(session: Any, registry: Registry) -> None:
    """Make a session (class, factory or scoped session) drain before commit and figure reads."""
    holding.install(session, registry)

    @event.listens_for(session, "after_begin")
    def _remember(session: Session, _transaction: Any, connection: Connection) -> None:
        connection.info.setdefault("figures.sessions", WeakSet()).add(session)
        session.info["figures.connection"] = connection

    @event.listens_for(session, "before_commit")
    def _settle_before_commit(session: Session) -> None:
        settle(session, registry)

    @event.listens_for(session, "do_orm_execute")
    def _flush_before_reading(state: ORMExecuteState) -> None:
        pending = state.session.new or state.session.dirty or state.session.deleted
        if isinstance(state.statement, TextClause) and pending and state.session.autoflush:
            state.session.flush()

    @event.listens_for(session, "after_flush_postexec")
    def _forget_after_writing(session: Session, flushed: UOWTransaction) -> None:
        if any(state.mapper.local_table in registry.sources for state in flushed.states):
            _expire(session, registry)

    @event.listens_for(session, "after_soft_rollback")
    def _forget_after_going_back(session: Session, ended: SessionTransaction) -> None:
        if ended.nested:
            _expire(session, registry)


def settle(session: Session, registry: Registry) -> None:
    """Flush, then recompute whatever this transaction has touched so far."""
    connection = _begun(session)
    if connection is not None and _pending(connection):
        settle_connection(connection, registry)


def has_written(session: Session) -> bool:
    """Whether this transaction may have written anything that a trigger sees; flushes first."""
    connection = _begun(session)
    return connection is not None and bool(getattr(_driver(connection), "is_noted", False))


def _begun(session: Session) -> Connection | None:
    """The connection of the session's transaction, flushed; None if none has begun."""
    session.flush()
    found: Connection | None = session.info.get("figures.connection")
    return None if found is None or found.closed or not found.in_transaction() else found


@contextmanager
def written(connection: Connection) -> Iterator[Changes]:
    """Within the block: the figure rows that draining this connection writes, as they are written."""
    rows: Changes = []
    connection.info["figures.written"] = rows
    try:
        yield rows
    finally:
        connection.info.pop("figures.written", None)


@contextmanager
def held(connection: Connection) -> Iterator[None]:
    """Within the block no read starts a drain: the caller drains when everything is written."""
    connection.info["figures.left"] = True
    try:
        yield
    finally:
        connection.info.pop("figures.left", None)


def settle_connection(connection: Connection, registry: Registry, **how: Any) -> None:
    """Drain this transaction's notes (`how`: see `drain`) and expire stale figures in the session's instances."""
    began_at = time.perf_counter()
    changes = drain(connection, registry, **how).changed
    _driver(connection).has_written = False
    connection.info.get("figures.written", []).extend(changes)
    registry.observe(time.perf_counter() - began_at, len(changes))
    if changes or registry.added_at_once:
        for session in list(connection.info.get("figures.sessions", ())):
            _expire(session, registry, changes)


def skip_drain(connection: Connection) -> None:
    """Let this transaction commit without draining: its notes stay for a later drain."""
    connection.info["figures.left"] = True


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _pending(connection: Connection) -> bool:
    """Whether something may have to be drained; never in a read-only snapshot."""
    return bool(
        getattr(_driver(connection), "has_written", False)
        and not connection.info.get(DRAINING, False)
        and not connection.info.get("figures.left", False)
        and not connection.get_execution_options().get("postgresql_readonly", False)
    )


def _forget(connection: Connection) -> None:
    if not connection.invalidated:
        connection.info.pop("figures.left", None)
        _reset(_driver(connection))


def _reset(driver: Any) -> None:
    driver.has_written = driver.is_noted = False
    driver.named_actor = ""


def _names_in_a_read(sql: str, names: re.Pattern[str]) -> bool:
    """Whether SQL not composed by SQLAlchemy may read a figure."""
    return _ANSWERS_ROWS.match(sql) is not None and names.search(sql) is not None


def _reads_a_figure(clause: Any, registry: Registry, names: re.Pattern[str]) -> bool:
    """Whether a statement may read a figure.

    A statement that writes names its own table without reading it; it reads the tables in its conditions
    and values. The defaults that a flush fetches for its own new rows are not a read: draining
    first would not change them, and they are expired after the flush.
    """
    if not isinstance(clause, ClauseElement):
        return False
    writes = isinstance(clause, UpdateBase)
    return any(_names_a_figure(part, registry, names, writes) for part in _parts(clause))


def _parts(clause: ClauseElement) -> Iterator[Any]:
    if not isinstance(clause, UpdateBase):
        return iterate(clause)
    children = clause.get_children(omit_attrs=("_return_defaults_columns",))
    return (part for child in children for part in iterate(child))


def _names_a_figure(part: Any, registry: Registry, names: re.Pattern[str], writes: bool) -> bool:
    if isinstance(part, TextClause):
        return names.search(part.text) is not None
    if writes and isinstance(part, Column):
        roots = (c for c in part.base_columns if isinstance(c, Column))
        return any(registry.keeper(c) for c in roots)
    if isinstance(part, ColumnClause) and part.is_literal:
        return names.search(part.name) is not None
    return not writes and names.fullmatch(_table_named_by(part)) is not None


def _table_named_by(part: Any) -> str:
    """The table's name; the object may differ, because a table may be described again (reflected, `table()`)."""
    table = part if isinstance(part, TableClause) else getattr(part, "table", None)
    return table.name if isinstance(table, TableClause) else ""


def _expire(session: Session, registry: Registry, rows: Changes | None = None) -> None:
    """Expire the figures of instances (those of `rows`, or all) so that they are read anew; pending changes stay.

    Sums to which a trigger has added are not reported: those of all instances are expired.
    """
    written = None if rows is None else set(rows)
    for state in session.identity_map.all_states():
        table = state.mapper.local_table
        if table not in registry.targets:
            continue
        if (
            written is None
            or table in registry.added_at_once
            or (table, (state.identity or (0,))[0]) in written
        ):
            loaded = _kept_attributes(state.mapper, registry) & state.dict.keys()
            stale, instance = loaded - state.committed_state.keys(), state.obj()
            if stale and instance is not None:
                session.expire(instance, stale)


@cache
def _kept_attributes(mapper: Mapper[Any], registry: Registry) -> frozenset[str]:
    """The attribute names of a mapped class that hold figures."""
    table = mapper.local_table
    kept = (c for f in registry.figures if f.table is table for c in f.columns)
    return frozenset(mapper.get_property_by_column(c).key for c in kept)
