"""With a worker running, other programs' writes are corrected within two seconds: FAULTS.md lines 13 and 14."""

import time
from itertools import product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.drift.outside import watch
from backoffice.figures.models import Correction, FigureNote
from backoffice.runs.models import Run
from tests.faults.workers import book as large_book
from tests.faults.workers import until, worker
from tests.surgery import tell_of_everything

from .books import Book, stored
from .shop import Shop
from .test_outside_writes import _statement, by_psycopg
from .ways import CHANGES, NEW

pytestmark = pytest.mark.slow

BAR_SECONDS = 2.0
"""The limit at the 95th percentile, in seconds, from the other program's commit until all figures are right."""


def test_every_way_of_writing_from_outside_is_right_within_two_seconds(
    session: Any,
    shop: Shop,
    database_url: str,
    outside: psycopg.Connection[Any],
    tmp_path: Path,
) -> None:
    took: dict[str, float] = {}
    log = tmp_path / "worker.log"
    with worker(log):
        outside.execute("UPDATE order_lines SET quantity = quantity + 1")
        until(lambda: right(outside), 30, "the worker has started", log)
        shop.book = Book.read(outside)
        for (name, change), form in product(CHANGES.items(), ("UPDATE", "MERGE")):
            last = newest(outside)
            by_psycopg(database_url, _statement(form, change, shop))
            took[f"{form}: {name}"] = seconds_until_right(outside, log)
            said = corrections(outside, last)
            assert {cause for cause, _ in said} <= {"bypass"}, (form, name)
            assert {user for _, user in said} <= {"backoffice_app"}, (form, name)
            shop.book = Book.read(outside)
        took["COPY"] = seconds_until_right(outside, log, copied(database_url, shop))
        outside.execute("DELETE FROM order_lines WHERE id = %s", (shop.discount,))
        took["DELETE"] = seconds_until_right(outside, log)
        outside.execute("TRUNCATE order_lines")
        took["TRUNCATE"] = seconds_until_right(outside, log)
    assert corrections(outside, 0), "nothing was ever wrong"
    ordered = sorted(took.values())
    assert ordered[int(len(ordered) * 0.95)] <= BAR_SECONDS, took
    assert list(figures.verify(db.session)) == []


def copied(database_url: str, shop: Shop) -> None:
    copying = f"COPY order_lines (order_id, {', '.join(NEW)}) FROM STDIN"
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        connection.cursor().copy(copying.encode()) as copy,
    ):
        copy.write_row((shop.itemised, *NEW.values()))


def right(outside: psycopg.Connection[Any]) -> bool:
    """Whether nothing is noted and all figures equal an independent calculation."""
    if outside.execute("SELECT 1 FROM figure_notes LIMIT 1").fetchone():
        return False
    return stored(outside) == Book.read(outside).totals()


def seconds_until_right(outside: psycopg.Connection[Any], log: Path, _done: None = None) -> float:
    began = time.monotonic()
    until(lambda: right(outside), 20, "everything is right", log)
    return time.monotonic() - began


def newest(outside: psycopg.Connection[Any]) -> int:
    row = outside.execute("SELECT coalesce(max(id), 0) FROM corrections").fetchone()
    assert row is not None
    return int(row[0])


def corrections(outside: psycopg.Connection[Any], after: int) -> list[tuple[str, str]]:
    found = outside.execute("SELECT cause, db_user FROM corrections WHERE id > %s", [after])
    return found.fetchall()


def test_a_flood_is_drained_as_a_run_with_progress_each_owner_once(
    session: Any, admin_database_url: str, outside: psycopg.Connection[Any], monkeypatch: Any
) -> None:
    orders = 3_000
    with psycopg.connect(admin_database_url, autocommit=True) as surgery:
        surgery.execute("SET session_replication_role = replica")
        large_book(surgery, orders)
        surgery.execute("UPDATE orders SET closing_date = '2026-01-31'")
        surgery.execute(
            "INSERT INTO account_manager_targets (account_manager_id, month, achieved, orders_closed) "
            "SELECT account_manager_id, '2026-01-01', sum(grand_total), count(*) FROM orders GROUP BY 1"
        )
        tell_of_everything(surgery)
    monkeypatch.setattr(watch, "FLOOD", 1_000)
    outside.execute("UPDATE orders SET promo = 1")
    assert watch.look(db.engine), "a run is asked for"
    asked = session.scalars(select(Run)).one()
    assert (asked.kind, asked.status) == ("figures.drain", "queued")
    session.rollback()
    while watch.look(db.engine):
        pass
    session.refresh(asked)
    assert (asked.status, asked.failed) == ("done", 0)
    assert asked.checked == asked.total
    assert session.scalar(select(func.count()).select_from(FigureNote)) == 0
    causes = select(Correction.figure, Correction.cause, Correction.db_user, func.count())
    assert sorted(session.execute(causes.group_by(*causes.selected_columns[:3]))) == [
        ("account_manager_targets.achieved", "bypass", "backoffice_owner", 1),
        ("orders.grand_total", "bypass", "backoffice_owner", orders),
    ]
    assert list(figures.verify(db.session)) == []


def test_emptying_what_a_large_table_is_derived_from_is_a_flood(
    session: Any, admin_database_url: str, outside: psycopg.Connection[Any], monkeypatch: Any
) -> None:
    orders = 3_000
    with psycopg.connect(admin_database_url, autocommit=True) as surgery:
        surgery.execute("SET session_replication_role = replica")
        large_book(surgery, orders)
        surgery.execute("UPDATE orders SET itemised = '{package}'")
        surgery.execute(
            "INSERT INTO order_lines (order_id, position, kind, description, quantity, unit_price, amount) "
            "SELECT id, 1, 'package', '', 1, total_price, total_price FROM orders"
        )
        tell_of_everything(surgery)
    monkeypatch.setattr(watch, "FLOOD", 1_000)
    outside.execute("TRUNCATE order_lines")
    while watch.look(db.engine):
        pass
    asked = session.scalars(select(Run)).one()
    assert (asked.kind, asked.status) == ("figures.drain", "done")
    assert outside.execute("SELECT sum(grand_total), sum(total_price) FROM orders").fetchone() == (
        0,
        0,
    )
    assert session.scalar(select(func.count()).select_from(FigureNote)) == 0
    users = select(Correction.cause, Correction.db_user).distinct()
    assert list(session.execute(users)) == [("bypass", "backoffice_owner")]
