"""CHECKs that may be younger than the rows: they refuse new values at once, and old rows when these are mended.

So a book with a bad value can still be upgraded. `db upgrade` adds them after the migrations, and names the rows.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Result, Table
from sqlalchemy import text as text_of
from sqlalchemy.exc import IntegrityError

from ..base.out_of_calendar import calendar_check, is_dated


@dataclass(frozen=True)
class LateCheck:
    """The CHECK `name` of a table: a condition over some of its columns."""

    table: Table
    name: str
    columns: tuple[str, ...]
    condition: str

    @property
    def full_name(self) -> str:
        """Its name in the database."""
        return f"ck_{self.table.name}_{self.name}"


def calendar_checks(metadata: MetaData) -> Iterator[LateCheck]:
    """The CHECKs that refuse dates outside the calendar."""
    for table in metadata.sorted_tables:
        if (check := calendar_check(table)) is not None:
            columns = tuple(sorted(c.name for c in table.columns if is_dated(c)))
            yield LateCheck(table, "in_calendar", columns, str(check.sqltext))


def length_checks(
    metadata: MetaData, limits: Mapping[str, Mapping[str, int]]
) -> Iterator[LateCheck]:
    """The CHECKs that refuse texts longer than a form allows; `limits` are characters by table and column."""
    for table in metadata.sorted_tables:
        if columns := limits.get(table.name):
            parts = (f"length({name}) <= {longest}" for name, longest in sorted(columns.items()))
            yield LateCheck(table, "text_lengths", tuple(sorted(columns)), " AND ".join(parts))


def sync(engine: Engine, checks: Iterable[LateCheck]) -> list[str]:
    """Add these CHECKs, as the owner; returns the tables with rows that violate one, and some of these rows.

    A CHECK is validated once no old row violates it, by this or a later call. One that has other columns or limits
    than declared is replaced. Each step is a transaction of its own: adding locks the table for an instant, and the
    scan of its rows keeps nobody from reading and writing. What was interrupted goes on where it stopped.
    """
    with engine.connect() as connection:
        with connection.begin():
            known = {row.name: row for row in _known(connection)}
        return [
            where
            for check in checks
            if (where := _synced(connection, check, known.get(check.full_name)))
        ]


def _synced(connection: Connection, check: LateCheck, found: Any) -> str:
    """Add or validate one CHECK; returns where it is violated."""
    table, name = check.table.name, check.full_name
    if found is None or not _is_the_same(check, found):
        with connection.begin():
            _run(connection, f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
            _run(
                connection,
                f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({check.condition}) NOT VALID",
            )
    elif found.is_valid:
        return ""
    if _is_valid_now(connection, table, name):
        return ""
    with connection.begin():
        return f"{table} ({_some(connection, check)})"


def missing(connection: Connection, checks: Iterable[LateCheck]) -> list[str]:
    """The names of CHECKs that are not in the database, or are not as declared."""
    known = {row.name: row for row in _known(connection)}
    return sorted(
        check.full_name for check in checks
        if (found := known.get(check.full_name)) is None or not _is_the_same(check, found)
    )  # fmt: skip


def _is_the_same(check: LateCheck, found: Any) -> bool:
    """Whether an installed CHECK is over these columns with these limits; PostgreSQL writes conditions its own way."""
    numbers = sorted(_numbers(check.condition)) == sorted(_numbers(found.condition))
    is_dated = check.name == "in_calendar"
    return tuple(sorted(found.columns)) == check.columns and (is_dated or numbers)


def _numbers(condition: str) -> list[str]:
    return re.findall(r"<= (\d+)", condition)


_KNOWN = """
SELECT conname::text AS name, convalidated AS is_valid, pg_get_constraintdef(oid) AS condition,
       array(SELECT attname::text FROM pg_attribute
             WHERE attrelid = conrelid AND attnum = ANY (conkey)) AS columns
FROM pg_constraint
WHERE contype = 'c' AND connamespace = 'public'::regnamespace
"""


def _known(connection: Connection) -> Sequence[Any]:
    return connection.execute(text_of(_KNOWN)).all()


def _is_valid_now(connection: Connection, table: str, name: str) -> bool:
    try:
        with connection.begin():
            _run(connection, f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    except IntegrityError:
        return False
    return True


def _some(connection: Connection, check: LateCheck) -> str:
    """The keys of the first rows that violate the CHECK."""
    key = next(iter(check.table.primary_key)).name
    rows = f"SELECT {key} FROM {check.table.name} WHERE NOT ({check.condition}) ORDER BY 1 LIMIT 4"  # noqa: S608 (our names)
    keys = [str(row[0]) for row in _run(connection, rows)]
    return ", ".join([f"{key} {keys[0]}", *keys[1:3], *(["…"] if len(keys) > 3 else [])])


def _run(connection: Connection, statement: str) -> Result[Any]:
    return connection.execute(text_of(statement.replace(":", "\\:")))
