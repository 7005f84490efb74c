"""Impossible dates as findings, `dates:<table>`; at most one is open per row.

A table with a validated CHECK cannot hold any, so this costs a healthy book one short statement.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import BigInteger, Connection, Table, cast, func, select, true, update
from sqlalchemy import Text as SqlText

from ...audit.facts import facts_by_table
from ...audit.tables import recorded
from ...base.out_of_calendar import is_dated, strays, unguarded
from ...base.periods import FIRST_DAY, LAST_DAY
from ..models import IMPOSSIBLE
from ..recording import FINDINGS, upsert_findings

PREFIX = "dates:"

MOST_ROWS = 1_000
"""Rows of one table that are turned into findings at a time."""

SHOULD_BE = f"{FIRST_DAY} … {LAST_DAY}"


def name_of(table: str) -> str:
    """The name under which findings of a table's dates are filed."""
    return f"{PREFIX}{table}"


def all_dates() -> Mapping[str, str]:
    """Name of findings → their table."""
    return {
        name_of(table): table for table, facts in facts_by_table().items() if _dated(facts.table)
    }


def look(connection: Connection, run_id: int | None) -> int:
    """Record every bad date in audited tables, and close those that are right again; returns how many there are."""
    tables = [facts.table for facts in facts_by_table().values() if _dated(facts.table)]
    open_to_them = unguarded(connection, tables)
    found = [row for table in open_to_them for row in _rows(connection, table)]
    if found:
        _record(connection, found, run_id)
    is_one = FINDINGS.c.figure.in_([name_of(table.name) for table in tables])
    seen = [(row["figure"], row["owner_key"]) for row in found]
    row_id = FINDINGS.c.key["id"].as_integer()
    for figure, row in connection.execute(
        select(FINDINGS.c.figure, row_id).where(is_one, FINDINGS.c.healed_at.is_(None))
    ).all():
        if (figure, row) not in seen:
            _close(connection, figure, row)
    return len(found)


def look_at(connection: Connection, finding: Any) -> None:
    """Look at the row of one finding again: record what it holds now, or close the finding."""
    row = int(finding.key["id"])
    table = facts_by_table()[finding.figure.removeprefix(PREFIX)].table
    if found := list(_rows(connection, table, row)):
        _record(connection, found, None)
    else:
        _close(connection, finding.figure, row)


def _dated(table: Table) -> bool:
    return any(is_dated(column) for column in table.columns)


def _rows(
    connection: Connection, table: Table, only: int | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of the table with a bad date, or that row alone, as findings."""
    key = next(iter(table.primary_key))
    known = recorded(table.name)
    owner = key if known is None or known.part_of is None else table.c[known.part_of.key]
    dated = [column for column in table.columns if is_dated(column)]
    bad = [cast(column, SqlText).label(column.key) for column in dated]
    reported = [strays(table, column).label(f"is_{column.key}") for column in dated]
    rows = select(cast(owner, BigInteger).label("of"), key.label("row"), *bad, *reported)
    mine = true() if only is None else key == only
    for row in connection.execute(
        rows.where(strays(table), mine).order_by(key).limit(MOST_ROWS)
    ).mappings():
        wrong = {c.key: row[c.key] for c in dated if row[f"is_{c.key}"]}
        yield {
            "figure": name_of(table.name),
            "owner": row["of"],
            "owner_key": row["row"],
            "key": {"id": row["row"]},
            "kind": IMPOSSIBLE,
            "stored": wrong,
            "expected": dict.fromkeys(wrong, SHOULD_BE),
            "roots": [{"figure": name_of(table.name), "key": {"id": str(row["row"])}}],
            "is_root": True,
            "cause": IMPOSSIBLE,
        }


def _record(connection: Connection, found: list[dict[str, Any]], run_id: int | None) -> None:
    rows = [
        {n: v for n, v in row.items() if n != "owner_key"} | {"run_id": run_id} for row in found
    ]
    upsert_findings(connection, rows, ("owner", "stored", "expected"))


def _close(connection: Connection, figure: str, row: int) -> None:
    mine = FINDINGS.c.key["id"].as_integer() == row
    connection.execute(
        update(FINDINGS)
        .where(FINDINGS.c.figure == figure, FINDINGS.c.healed_at.is_(None), mine)
        .values(healed_at=func.now(), healed_by="save")
    )
