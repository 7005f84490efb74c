"""How the tables are emptied after a test, and how books that many tests begin with are put down again.

PostgreSQL is asked what a test has changed: a table is untouched that has as many rows as before, of which the last was
written by the same transaction. A book is copied when it has been made; whoever asks for it again in the same process
gets exactly those rows and counters, and where the test before has left it standing, only what that one has
changed is put back.
"""

import shutil
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis

from backoffice.audit.chain import anchors
from backoffice.database.statistics import MANY_BYTES

Rows = dict[str, list[int]]
"""Table → how many rows it has, and the last transaction that wrote one; without those that are empty."""

TRANSACTIONS = "SELECT pg_current_snapshot()::text"
"""Is another one after every transaction that writes anything, however many are under way beside it."""

MANY = 10_000
"""Rows for which the planner needs to know of a table what autovacuum would have told it."""

COUNT = """
SELECT '{0}', count(*), max(xmin::text::bigint) FROM public.{0} HAVING count(*) > 0"""

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
    """Empties every table, every counter, Redis, and the anchors that an audit trail has left.

    Its connection is a superuser's; no trigger notes or refuses what it does.
    """

    def __init__(self, connection: psycopg.Connection[Any], redis: Redis, home: Path) -> None:
        self.connection, self.redis, self.home = connection, redis, home
        connection.execute(PREPARED.replace("LARGE", str(MANY_BYTES)).encode())
        self.books: dict[str, tuple[list[str], dict[int, int | None], tuple[Any, ...]]] = {}
        self.counted: tuple[str, Rows] | None = None
        self.sweep()

    @property
    def is_written(self) -> bool:
        """Whether anybody has written anything into the database since it was as it is known to be."""
        return self._transactions() != self.known_at

    def changed(self) -> set[str]:
        """The tables that are otherwise than they were in the book that a test began with."""
        now = self._rows()
        return {name for name in {*now, *self.rows} if now.get(name) != self.rows.get(name)}

    def sweep(self) -> None:
        """Empty what is not."""
        self.sweep_beside()
        self.connection.execute("SELECT pg_temp.empty(%s)", [list(self._rows())], prepare=True)
        # Whoever writes beside it has changed the empty book.
        self.book, self.rows, self.left = None, {}, {}
        self.known_at = self._transactions()

    def sweep_beside(self) -> None:
        """Empty what a test leaves beside the tables."""
        self.redis.flushdb()
        shutil.rmtree(anchors.folder_of({"BACKOFFICE_HOME": self.home}), ignore_errors=True)

    def leave(self) -> None:
        """Empty the tables, or leave a book standing for the next test with what this one has changed of it."""
        if self.book is None:
            self.sweep()
            return
        self.sweep_beside()
        self.left, self.known_at = self._rows(), self._transactions()

    @property
    def is_as_left(self) -> bool:
        """Whether a test has written nothing yet."""
        return self._rows() == self.left

    def keep(self, name: str) -> None:
        """Copy everything that stands now."""
        tables = sorted(self._rows())
        for place, table in enumerate(tables):
            copy = f"CREATE TEMP TABLE {_copy(name, place)} AS TABLE public.{table}"
            self.connection.execute(copy.encode())
        counters = self.connection.execute("SELECT id, value FROM pg_temp.counters()").fetchall()
        self.books[name] = tables, dict(counters), self._locked()
        self._stands(name)

    def put_down(self, name: str) -> None:
        """Let every table hold what was kept, and every counter stand where it stood."""
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
        for counter, value in counters.items():
            self.connection.execute("SELECT setval(%s::oid::regclass, coalesce(%s::bigint, 1), %s)",
                                    [counter, value, value is not None])  # fmt: skip
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
        """Until which days the book is locked and closed: the one row that is never emptied has them."""
        found = self.connection.execute("SELECT locked_until, closed_until FROM book").fetchone()
        return found or (None, None)

    def _lock(self, days: tuple[Any, ...]) -> None:
        if self._locked() != days:
            self.connection.execute("UPDATE book SET locked_until = %s, closed_until = %s", days)

    @property
    def most(self) -> int:
        """How many rows the largest table has."""
        return max((count for count, _ in self._rows().values()), default=0)

    def _rows(self) -> Rows:
        """Counted once for as long as nobody writes."""
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
