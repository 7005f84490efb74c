"""Emptying the tables after a test, and restoring books with which many tests begin.

What a test has changed is read from PostgreSQL: a table is unchanged if it has as many rows as before, and the same
transaction wrote the last of them. A book is copied when it has been made; a later test in the same process that
requests it gets exactly the same rows and counters, and if the book is still in place, only what the test before has
changed is restored.
"""

import shutil
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis

from backoffice.audit.chain import anchors
from backoffice.database.statistics import MANY_BYTES

Rows = dict[str, list[int]]
"""Table → the number of its rows, and the last transaction that wrote one; without empty tables."""

TRANSACTIONS = "SELECT pg_current_snapshot()::text"
"""A value that changes after every transaction that writes, however many are running concurrently."""

MANY = 10_000
"""From this many rows on, the planner needs a table's statistics, which autovacuum would have collected."""

COUNT = """
SELECT '{0}', count(*), max(xmin::text::bigint) FROM public.{0} HAVING count(*) > 0"""

COUNTED_FROM = """
SELECT setval(id::oid::regclass, coalesce(value, 1), value IS NOT NULL)
FROM unnest(%s::bigint[], %s::bigint[]) AS counter (id, value)
WHERE pg_sequence_last_value(id::oid) IS DISTINCT FROM value"""
"""Sets counters to what they were."""

PREPARED = """
CREATE FUNCTION pg_temp.tables() RETURNS TABLE (name text, id oid) LANGUAGE sql STABLE AS $$
    -- All but the migrations' own.
    SELECT relname::text, oid FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
      AND relname NOT IN ('alembic_version', 'schema_fingerprints', 'book', 'process_keys')
$$;
CREATE FUNCTION pg_temp.counters() RETURNS TABLE (id oid, value bigint) LANGUAGE sql AS $$
    SELECT s.oid, pg_sequence_last_value(s.oid) FROM pg_class AS s
    JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_temp.tables() AS t ON t.id = d.refobjid WHERE s.relkind = 'S'
$$;
CREATE FUNCTION pg_temp.empty(names text[]) RETURNS void LANGUAGE plpgsql AS $$
-- Deleting a handful of rows takes a tenth of what truncating a table and its indexes does; that also forgets
-- its statistics, and lets no table look large to whoever asks for some.
-- No day of a book that is made anew is locked, and no period of it closed.
DECLARE
    candidate record;
BEGIN
    FOR candidate IN SELECT t.name, t.id, c.reltuples FROM pg_temp.tables() AS t JOIN pg_class AS c ON c.oid = t.id LOOP
        IF candidate.reltuples > 0 OR pg_relation_size(candidate.id) > LARGE THEN
            EXECUTE format('TRUNCATE public.%I CASCADE', candidate.name);
        ELSIF candidate.name = ANY (names) THEN
            EXECUTE format('DELETE FROM public.%I', candidate.name);
        END IF;
    END LOOP;
    PERFORM setval(id, 1, false) FROM pg_temp.counters() WHERE value IS NOT NULL;
    UPDATE public.book SET locked_until = NULL, closed_until = NULL
    WHERE locked_until IS NOT NULL OR closed_until IS NOT NULL;
END $$;
CREATE FUNCTION pg_temp.columns_of(wanted oid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = wanted AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
$$;
CREATE FUNCTION pg_temp.put_back(copy text, name text, since bigint) RETURNS void LANGUAGE plpgsql AS $$
-- Whatever a later transaction wrote goes, and whatever is not there any more comes back.
DECLARE
    columns text := pg_temp.columns_of(format('public.%I', name)::regclass);
    keys text := (SELECT string_agg(format('t.%1$I = k.%1$I', attname), ' AND ') FROM pg_index
                  JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
                  WHERE indrelid = format('public.%I', name)::regclass AND indisprimary);
BEGIN
    EXECUTE format('DELETE FROM public.%I WHERE xmin::text::bigint > $1', name)
        USING CASE WHEN keys IS NULL THEN 0 ELSE since END;
    EXECUTE format('INSERT INTO public.%1$I (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM %3$s AS k
        WHERE NOT EXISTS (SELECT FROM public.%1$I AS t WHERE %4$s)', name, columns, copy, coalesce(keys, 'false'));
END $$;
"""


class Sweeper:
    """Empties every table, every counter, Redis, and the anchors of the audit trail.

    Its connection has a superuser's role and triggers off, so that nothing is noted or refused.
    """

    def __init__(self, connection: psycopg.Connection[Any], redis: Redis, home: Path) -> None:
        self.connection, self.redis, self.home = connection, redis, home
        connection.execute(PREPARED.replace("LARGE", str(MANY_BYTES)).encode())
        self.books: dict[str, tuple[list[str], dict[int, int | None], tuple[Any, ...]]] = {}
        self.counted: tuple[str, Rows] | None = None
        self.sweep()

    @property
    def is_written(self) -> bool:
        """Whether any transaction has written since the state of the database was last recorded."""
        return self._transactions() != self.known_at

    def changed(self) -> set[str]:
        """The tables that differ from the book with which the test began."""
        now = self._rows()
        return {name for name in {*now, *self.rows} if now.get(name) != self.rows.get(name)}

    def sweep(self) -> None:
        """Empty everything that is not empty."""
        self.sweep_beside()
        self.connection.execute("SELECT pg_temp.empty(%s)", [list(self._rows())], prepare=True)
        # What is written concurrently counts as a change of the empty book.
        self.book, self.rows, self.left = None, {}, {}
        self.known_at = self._transactions()

    def sweep_beside(self) -> None:
        """Empty what a test leaves outside the tables."""
        self.redis.flushdb()
        shutil.rmtree(anchors.folder_of({"BACKOFFICE_HOME": self.home}), ignore_errors=True)

    def leave(self) -> None:
        """Empty the tables; or leave a kept book in place, with this test's changes, for the next test."""
        if self.book is None:
            self.sweep()
            return
        self.sweep_beside()
        self.left, self.known_at = self._rows(), self._transactions()

    @property
    def is_as_left(self) -> bool:
        """Whether the test has not written anything yet."""
        return self._rows() == self.left

    def keep(self, name: str) -> None:
        """Copy the present content of all tables and counters."""
        tables = sorted(self._rows())
        for place, table in enumerate(tables):
            copy = f"CREATE TEMP TABLE {_copy(name, place)} AS TABLE public.{table}"
            self.connection.execute(copy.encode())
        counters = self.connection.execute("SELECT id, value FROM pg_temp.counters()").fetchall()
        self.books[name] = tables, dict(counters), self._locked()
        self._stands(name)

    def put_down(self, name: str) -> None:
        """Restore the kept content of every table and counter."""
        tables, counters, locked = self.books[name]
        if self.book != name:
            self.sweep()
        changed = self.changed() | (set(tables) - set(self.rows))
        others = [table for table in changed if table not in tables]
        for table in others:
            self.connection.execute(f"DELETE FROM public.{table}".encode())
        for place, table in enumerate(tables):
            if table in changed:
                since = self.rows.get(table, [0, 0])[1]
                arguments = _copy(name, place), table, since
                self.connection.execute("SELECT pg_temp.put_back(%s, %s, %s)", arguments)
        self.connection.execute(COUNTED_FROM, [[*counters], [*counters.values()]], prepare=True)
        self._lock(locked)
        was_down = self.book == name
        self._stands(name)
        if not was_down:
            for table in (t for t, (count, _) in self.rows.items() if count > MANY):
                self.connection.execute(f"VACUUM (ANALYZE) public.{table}".encode())

    def _stands(self, book: str) -> None:
        self.book, self.rows = book, self._rows()
        self.left, self.known_at = self.rows, self._transactions()

    def _locked(self) -> tuple[Any, ...]:
        """The days until which the book is locked and closed, from the one row that is never deleted."""
        found = self.connection.execute("SELECT locked_until, closed_until FROM book").fetchone()
        return found or (None, None)

    def _lock(self, days: tuple[Any, ...]) -> None:
        if self._locked() != days:
            self.connection.execute("UPDATE book SET locked_until = %s, closed_until = %s", days)

    @property
    def most(self) -> int:
        """The number of rows of the largest table."""
        return max((count for count, _ in self._rows().values()), default=0)

    def _rows(self) -> Rows:
        """The rows of all tables, counted again only after a write."""
        transactions = self._transactions()
        if self.counted is None or self.counted[0] != transactions:
            self.counted = transactions, self._counted()
        return self.counted[1]

    def _counted(self) -> Rows:
        tables = self.connection.execute(
            "SELECT name FROM pg_temp.tables() ORDER BY 1", prepare=True
        )
        counts = " UNION ALL ".join(COUNT.format(name) for (name,) in tables)
        found = self.connection.execute(counts.encode(), prepare=True)
        return {name: [count, last] for name, count, last in found}

    def _transactions(self) -> str:
        found = self.connection.execute(TRANSACTIONS, prepare=True).fetchone()
        assert found is not None
        return str(found[0])


def _copy(book: str, place: int) -> str:
    return f'pg_temp."{book} {place}"'
