"""A book with a row in every table, and with impossible dates and timestamps in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Column, Table

from backoffice.base import Base
from backoffice.base.out_of_calendar import calendar_check, is_dated

Surgeon = psycopg.Connection[Any]

BAD = ("infinity", "-infinity", "20000-01-01", "0044-03-01 BC", "9999-12-01", "0001-01-01")

ONE = "'orders.grand_total', 1, '{\"id\": 1}'"
SIDES = '\'{"grand_total": "1.00"}\', \'{"grand_total": "2.00"}\''
FINDING = "figure, owner, key, kind, stored, expected, amount, gross, roots, is_root, cause, run_id"
FOUND = f"{ONE}, 'different', {SIDES}, 1, 1, '[]', true, 'unnoticed', 1"

ROWS = (
    """INSERT INTO runs (kind, scope, scope_key, status, started_at, finished_at, approved_at, due_at,
                         delivered_at, schedule)
       VALUES ('figures.verify', '{}', 'x', 'done', now(), now(), now(), now(), now(), 'figures.verify')""",
    """INSERT INTO runs (kind, scope, scope_key, status, started_at, dry_run)
       VALUES ('figures.heal', '{}', 'y', 'running', now(), true)""",
    "INSERT INTO run_chunks (run_id, number, payload, lease_until) VALUES (2, 1, '{}', now())",
    f"""INSERT INTO run_items (run_id, subject, owner, key, outcome, before, after, amount,
                              amount_before, amount_after, gross)
       VALUES (1, {ONE}, 'applied', {SIDES}, 1, 1, 2, 1)""",
    f"INSERT INTO drift_findings ({FINDING}) VALUES ({FOUND})",
    f"INSERT INTO drift_findings ({FINDING}, healed_at, healed_by) VALUES ({FOUND}, now(), 'run')",
    "INSERT INTO figure_checks (figure, owners, drifted) VALUES ('orders.grand_total', 1, 1)",
    "INSERT INTO saved_views (user_id, list, name) VALUES (1, 'orders', 'Mine')",
    """INSERT INTO reconciliations (run_id, figure, finished_at, since, until)
       VALUES (1, 'orders.grand_total', now(), now(), now())""",
    """INSERT INTO imports (kind, name, files, digest, state, user_id, checked_at, applied_at)
       VALUES ('customers', 'x.csv', '[]', 'x', 'applied', 1, now(), now())""",
    "INSERT INTO price_changes (product_id, effective_from, unit_price) VALUES (1, '2026-01-01', 5)",
    """INSERT INTO api_tokens (name, scope, token_hash, expires_at, last_used_at, created_by)
       VALUES ('x', 'metrics', 'x', now() + interval '1 day', now(), 'x')""",
    """INSERT INTO account_manager_targets (account_manager_id, month, target)
       SELECT id, '2026-03-01', 5 FROM users WHERE role = 'account_manager' LIMIT 1
       ON CONFLICT (account_manager_id, month) DO UPDATE SET target = excluded.target""",
    "UPDATE meter_assignments SET assigned_from = '2026-01-01'",
)


def dated() -> list[tuple[Table, list[Column[Any]]]]:
    """Every mapped table with its date and timestamp columns."""
    found = [(t, [c for c in t.columns if is_dated(c)]) for t in Base.metadata.sorted_tables]
    return [(table, columns) for table, columns in found if columns]


def without_checks(owner: Surgeon) -> None:
    """Drop the CHECKs on dates, as in a book that is older than they are, or in which they were removed."""
    for table, _columns in dated():
        assert calendar_check(table) is not None
        owner.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(
                sql.Identifier(table.name), sql.Identifier(f"ck_{table.name}_in_calendar")
            )
        )


def write(surgeon: Surgeon, columns: list[Column[Any]], value: str) -> None:
    """Set these columns of one table to the value wherever they are not null."""
    names = [column.name for column in columns]
    settings = ", ".join(f"{n} = CASE WHEN {n} IS NULL THEN {n} ELSE '{value}' END" for n in names)
    surgeon.execute(f"UPDATE {columns[0].table.name} SET {settings}".encode())


@contextmanager
def holding(surgeon: Surgeon, columns: list[Column[Any]], bad: str) -> Iterator[None]:
    """Set these columns of one table to the bad value in every row, during the block."""
    table = columns[0].table
    keys = [c.name for c in table.primary_key if c not in columns] or [columns[0].name]
    names = [c.name for c in columns]
    kept = surgeon.execute(
        sql.SQL("SELECT {}, {} FROM {}").format(
            _list(keys), _list(names), sql.Identifier(table.name)
        )
    ).fetchall()
    write(surgeon, columns, bad)
    try:
        yield
    finally:
        for row in kept:
            where = " AND ".join(f"{name} = %s" for name in keys)
            settings = ", ".join(f"{name} = %s" for name in names)
            values = [*row[len(keys) :], *row[: len(keys)]]
            surgeon.execute(f"UPDATE {table.name} SET {settings} WHERE {where}".encode(), values)


def _list(names: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
