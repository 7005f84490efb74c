"""(z) The dry run of the migration over a large book: its longest transaction, and how long it takes."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.billing.migration import chain
from backoffice.database.embedded import ADMIN
from backoffice.runs.models import DONE, Run
from backoffice.runs.working import perform
from tests.surgery import tell_of_everything

from .report import Measured, Report
from .timing import timed
from .world import World

CUSTOMERS = 100_000
MONTHS = 1
BAR = 1.0
"""Seconds."""

LOAD = """
INSERT INTO customers (id, code, name) OVERRIDING SYSTEM VALUE
SELECT n, 'C' || n, 'Customer ' || n FROM generate_series(1, {customers}) AS n;
INSERT INTO meters (id, number) OVERRIDING SYSTEM VALUE
SELECT n, 'M-' || n FROM generate_series(1, {customers}) AS n;
INSERT INTO meter_assignments (meter_id, customer_id, is_active)
SELECT n, n, true FROM generate_series(1, {customers}) AS n;
INSERT INTO invoices (number, customer_id, units, rate, fixed_charge, amount, issued_on, due_on)
SELECT 'INV-' || month || '-' || n, n, 10, 100, 150, CASE WHEN n % 10 = 0 THEN 1 ELSE 1150 END,
    date '2025-01-01' + (month || ' months')::interval, date '2025-01-31' + (month || ' months')::interval
FROM generate_series(1, {months}) AS month, generate_series(1, {customers}) AS n;
INSERT INTO payments (reference, customer_id, paid_on, amount)
SELECT 'PAY-' || month || '-' || n, n, date '2025-01-20' + (month || ' months')::interval, 1000
FROM generate_series(1, {months}) AS month, generate_series(1, {customers}) AS n
"""
"""Customers with one meter each, and documents without any; a tenth of the invoices has a wrong amount."""

LOCKED = ("UPDATE invoices", "UPDATE payments", "UPDATE meters", "UPDATE customers")
"""Statements after which a transaction holds rows that users may wait for."""


def measure(world: World, scale: float) -> Report:
    """Load a legacy book, and time each transaction of the dry run of all steps."""
    customers = max(200, int(CUSTOMERS * scale))
    world.empty()
    print(f"    loading {customers:,} customers …", file=sys.stderr)
    with world.connect(ADMIN) as surgery, world.app.app_context():
        _load(surgery, customers)
        world.settle()
        with _transactions(db.engine) as held:
            seconds = timed(lambda: _previewed(db.engine, customers, held))
    size = f"{customers:,} customers, {2 * MONTHS * customers:,} documents"
    locking = max(took for took, is_locking, _ in held if is_locking)
    longest, _, what = max(held)
    return Report(
        [
            Measured("z", f"longest transaction with locked rows, {size}", locking, "s", BAR),
            Measured("z", "longest transaction of all", longest, "s", BAR),
            Measured("z", "the dry run of all steps", seconds, "s"),
        ],
        {"customers": customers, "transactions": len(held)},
        {"(z) the slowest statement of the longest transaction": what[:2_000]},
    )


def _load(surgery: Connection[Any], customers: int) -> None:
    with surgery.transaction():
        surgery.execute("SET LOCAL session_replication_role = replica")
        surgery.execute(LOAD.format(customers=customers, months=MONTHS).encode())
        tell_of_everything(surgery)
    for table in ("customers", "meters", "meter_assignments", "invoices", "payments"):
        counter = f"pg_get_serial_sequence('{table}', 'id')"
        surgery.execute(f"SELECT setval({counter}, max(id)) FROM {table}".encode())


def _previewed(engine: Engine, customers: int, held: list[tuple[float, bool, str]]) -> None:
    with Session(engine, expire_on_commit=False) as session:
        run: Run | None = chain.request_all(session, dry_run=True, is_paced=False)
        session.commit()
        counts = []
        while run is not None:
            began = time.monotonic()
            perform(engine, run.id)
            session.expire_all()
            assert run.status == DONE, (run.kind, run.status, run.error)
            took = time.monotonic() - began
            longest = max(held)[0]
            print(
                f"    {run.kind}: {run.changed:,} changes, {took:.1f} s, longest so far {longest:.2f} s",
                file=sys.stderr,
            )
            counts.append(run.changed)
            run = chain.next_run(session, run)
            session.commit()
    wrong = customers // 10 * MONTHS
    documents, totals = 2 * MONTHS * customers, 3 * customers
    assert counts[0] == sum(counts[1:]) == documents + wrong + totals, counts


@contextmanager
def _transactions(engine: Engine) -> Iterator[list[tuple[float, bool, str]]]:
    """Each transaction: its seconds, whether it locks rows that users change, and its slowest statement."""
    ended: list[tuple[float, bool, str]] = []

    def begin(connection: Any) -> None:
        connection.info["began"] = time.monotonic(), False, (0.0, "")

    def before(connection: Any, *_: Any) -> None:
        connection.info["sent"] = time.monotonic()

    def after(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        began, is_locking, slowest = connection.info.get("began", (0.0, False, (0.0, "")))
        took = time.monotonic() - connection.info["sent"]
        is_locking |= any(start in statement for start in LOCKED)
        connection.info["began"] = began, is_locking, max(slowest, (took, statement))

    def end(connection: Any) -> None:
        began, is_locking, (took, statement) = connection.info.pop("began", (0.0, False, (0.0, "")))
        if began:
            ended.append((time.monotonic() - began, is_locking, f"{took:.2f} s: {statement}"))

    hooks = {
        "begin": begin, "before_cursor_execute": before, "after_cursor_execute": after,
        "commit": end, "rollback": end,
    }  # fmt: skip
    for name, hook in hooks.items():
        event.listen(engine, name, hook)
    try:
        yield ended
    finally:
        for name, hook in hooks.items():
            event.remove(engine, name, hook)
