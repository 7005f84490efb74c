"""Real workers in separate processes, and a book large enough to kill them in mid-run."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis
from rq import Worker

from backoffice.app.config import ROOT, SUPERVISED
from backoffice.database.embedded import Services
from tests.surgery import tell_of_everything

Outside = psycopg.Connection[Any]

LEASE_SECONDS = 3


@contextmanager
def worker(log: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python worker.py` on the tests' services; ended with the block if it still runs."""
    environment = {**os.environ, SUPERVISED: "1", "RUN_LEASE_SECONDS": str(LEASE_SECONDS)}
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "worker.py"), *options],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def listening(services: Services, *processes: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until all of these workers take jobs, however long the machine takes to start them."""
    with Redis.from_url(services.redis.url) as redis:
        wanted = {process.pid for process in processes}
        until(lambda: wanted <= {w.pid for w in Worker.all(redis)}, 60, "all workers listen", log)


def until(condition: Callable[[], Any], seconds: float, what: str, log: Path | None = None) -> Any:
    """Wait until the condition is true; returns its value. Fails with the end of the log."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            tail = log.read_text()[-4000:] if log is not None else ""
            raise AssertionError(f"After {seconds} s still not: {what}\n{tail}")
        time.sleep(0.05)
    return answer


def children(pid: int) -> list[int]:
    """The ids of the live child processes of a process."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(folder.name))
    return sorted(found)


BOOK = """
INSERT INTO customers (code, name) VALUES ('drill', 'Drill');
INSERT INTO users (email, name, role) VALUES ('drill@example.com', 'Drill', 'account_manager');
INSERT INTO orders (number, customer_id, account_manager_id, order_date, closing_date,
                    total_price, additions, promo, reductions, grand_total)
SELECT 'D-' || n, (SELECT id FROM customers WHERE code = 'drill'),
       (SELECT id FROM users WHERE email = 'drill@example.com'), '2026-01-01', NULL,
       n, 0, 0, 0, n
FROM generate_series(1, %(owners)s) AS n;
ANALYZE orders;
"""


def book(surgery: Outside, owners: int) -> None:
    """Insert so many open orders, all right, without firing triggers."""
    for statement in BOOK.replace("%(owners)s", str(owners)).split(";"):
        if statement.strip():
            surgery.execute(statement.encode())
    tell_of_everything(surgery)


@contextmanager
def slowly(surgery: Outside, seconds: float = 0.2) -> Iterator[Callable[[], None]]:
    """Slow every UPDATE of orders down by so many seconds; yields a function that ends the delay."""
    surgery.execute(
        "CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN PERFORM pg_sleep({seconds:f}); RETURN NULL; END $$".encode()
    )
    surgery.execute(
        "CREATE TRIGGER rest BEFORE UPDATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION rest()"
    )
    quick = "CREATE OR REPLACE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    try:
        yield lambda: surgery.execute(quick.encode()) and None
    finally:
        surgery.execute("DROP FUNCTION rest CASCADE")


def corrupt(surgery: Outside) -> int:
    """Make every second order's grand total wrong; returns the number of orders."""
    return surgery.execute(
        "UPDATE orders SET grand_total = grand_total + 1 WHERE id % 2 = 0"
    ).rowcount


def digest(surgery: Outside) -> str:
    """A digest of all stored amounts of the orders."""
    row = surgery.execute(
        "SELECT md5(string_agg(concat_ws(':', id, total_price, additions, promo, reductions, grand_total), "
        "',' ORDER BY id)) FROM orders"
    ).fetchone()
    assert row is not None
    return str(row[0])
