"""FAULTS.md, lines 35 and 39: PostgreSQL or the app dies in the middle of a save."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backoffice import create_app, figures
from backoffice.app.extensions import db
from backoffice.commands.upgrade import upgrade
from backoffice.database.embedded import OWNER, Services
from backoffice.database.embedded.processes import pids_in
from backoffice.figures.keeping.hooks import NotingCursor
from backoffice.orders import actions
from backoffice.orders.entries import Breakdown, LineEntry, OrderEntry
from backoffice.orders.records import ORDER
from backoffice.records import actions as records
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.orders.books import Book, digest, stored
from tests.processes import killed, together

pytestmark = pytest.mark.slow

Outside = psycopg.Connection[Any]
Work = Callable[[], object]

LINES = (
    ("package", "12", "14.00"),
    ("package", "10", "9.80"),
    ("promo", "1", "26.60"),
    ("addition", "1", "32.38"),
)


def entry(number: str, customer_id: int, manager_id: int) -> OrderEntry:
    """An order with four lines, as entered."""
    lines = tuple(LineEntry(k, "", Decimal(q), Decimal(p)) for k, q, p in LINES)
    breakdown = Breakdown({"reductions": Decimal("1.25")}, frozenset(), lines)
    return OrderEntry(number, customer_id, manager_id, date(2026, 3, 2), None, breakdown)


def every_order_is_whole(connection: Outside) -> int:
    """Assert that each order is complete, with four lines, right totals and trail; returns the number of orders."""
    book = Book.read(connection)
    assert stored(connection) == book.totals()
    assert {len(book.lines_of(key)) for key in book.orders} <= {len(LINES)}
    trail = "SELECT table_name, count(*) FROM audit_events WHERE action = 'INSERT' GROUP BY 1"
    counts = dict(connection.execute(trail.encode()).fetchall())
    assert counts.get("orders", 0) == len(book.orders)
    assert counts.get("order_lines", 0) == len(book.lines)
    assert connection.execute("SELECT count(*) FROM figure_notes").fetchone() == (0,)
    return len(book.orders)


def save_again_and_again(customer: int, manager: int, name: str, seconds: float) -> int:
    """Save order after order despite errors; returns how many were acknowledged."""
    saved = 0
    end = time.monotonic() + seconds
    for n in range(1_000_000):
        if time.monotonic() > end:
            break
        try:
            actions.create(db.session(), entry(f"{name}-{n}", customer, manager))
            db.session.commit()
            saved += 1
        except DBAPIError:
            db.session.rollback()
    return saved


# 35: backends terminated, PostgreSQL killed


def test_fault_35_backends_terminated_in_a_loop_leave_no_partial_rows(
    app: Flask, session: Any, owner_connection: Outside, admin_database_url: str
) -> None:
    customer, manager = CustomerFactory().id, AccountManagerFactory().id
    session.commit()
    session.rollback()
    seconds = 3.0

    def terminate() -> int:
        chance = random.Random(35)
        ended = 0
        end = time.monotonic() + seconds - 0.5
        with psycopg.connect(admin_database_url, autocommit=True) as admin:
            while time.monotonic() < end:
                time.sleep(chance.uniform(0.005, 0.06))
                ended += len(admin.execute(TERMINATE_ONE).fetchall())
        return ended

    *saved, ended = together(
        app,
        *(lambda n=n: save_again_and_again(customer, manager, f"S{n}", seconds) for n in (1, 2)),
        terminate,
    )
    assert ended > 10
    assert min(saved) > 0
    assert every_order_is_whole(owner_connection) >= sum(saved)
    assert list(figures.verify(session)) == []


TERMINATE_ONE = """
SELECT pg_terminate_backend(pid) FROM (
  SELECT pid FROM pg_stat_activity WHERE usename = 'backoffice_app' AND state <> 'idle'
  ORDER BY random() LIMIT 1) AS victim
"""


def test_fault_35_postgresql_killed_in_mid_save_recovers_whole_within_ten_seconds(
    app: Flask,
) -> None:
    """In a separate cluster, durable as in production: every acknowledged save is there afterwards."""
    home = Path(mkdtemp(prefix="backoffice-tests-"))
    home.chmod(0o711)  # root's PostgreSQL runs as another user and needs to traverse it
    try:
        [report] = together(app, lambda: _killed_and_recovered(home), seconds=100)
    finally:
        rmtree(home, ignore_errors=True)
    assert report["recovery"] < 10
    assert report["acknowledged"] > 0
    assert report["stored"] >= report["acknowledged"]
    assert report["saved again"] > 0
    assert report["findings"] == []


def _killed_and_recovered(home: Path) -> dict[str, Any]:
    os.environ["BACKOFFICE_HOME"] = str(home)
    services = Services(home)
    with services.in_use(services.postgres, tied=True):
        application = create_app({"TESTING": True, "BACKOFFICE_HOME": home})
        upgrade(application)
        with application.app_context():
            customer, manager = CustomerFactory().id, AccountManagerFactory().id
            db.session.commit()
            db.session.remove()
        killer = threading.Timer(2.0, lambda: _kill_postgresql(services))
        killer.start()
        acknowledged = together(
            application,
            *(lambda n=n: _until_it_dies(customer, manager, f"S{n}") for n in (1, 2)),
        )
        killer.join()
        begun = time.monotonic()
        services.postgres.start(tied=True)
        recovery = time.monotonic() - begun
        with application.app_context(), psycopg.connect(services.postgres.url(OWNER)) as owner:
            found = every_order_is_whole(owner)
            owner.rollback()
            return {
                "recovery": recovery,
                "acknowledged": sum(acknowledged),
                "stored": found,
                "saved again": save_again_and_again(customer, manager, "again", 0.5),
                "findings": [finding.as_dict() for finding in figures.verify(db.session)],
            }


def _kill_postgresql(services: Services) -> None:
    for pid in pids_in(services.postgres.data):
        os.kill(pid, signal.SIGKILL)


def _until_it_dies(customer: int, manager: int, name: str) -> int:
    for n in range(1_000_000):
        try:
            actions.create(db.session(), entry(f"{name}-{n}", customer, manager))
            db.session.commit()
        except DBAPIError:
            return n
    raise AssertionError("PostgreSQL was not killed")


# 39: a crash at every SQL statement


@contextmanager
def interrupted(at: int, how: Callable[[int], None]) -> Iterator[list[int]]:
    """Call `how` with the backend's pid before the statement of that number, or before that COMMIT.

    Yields a list that counts the statements. Everything sent through the app's connections counts:
    the drain's statements, savepoints, COPY and the commit itself.
    """
    count = [0]

    def strike(connection: Any) -> None:
        count[0] += 1
        if count[0] == at:
            how(connection.info.backend_pid)

    def striking(name: str) -> Any:
        honest = getattr(NotingCursor, name)

        def method(cursor: Any, *args: Any, **options: Any) -> Any:
            strike(cursor.connection)
            return honest(cursor, *args, **options)

        return method

    def on_commit(connection: Any) -> None:
        strike(connection.connection.driver_connection)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("execute", "executemany", "copy"):
            patch.setattr(NotingCursor, name, striking(name))
        event.listen(db.engine, "commit", on_commit)
        try:
            yield count
        finally:
            event.remove(db.engine, "commit", on_commit)


@pytest.fixture
def acts(session: Any, owner_connection: Outside) -> dict[str, Work]:
    """The work that is interrupted: creating, changing and deleting an order, and healing one."""
    customer, manager = CustomerFactory(), AccountManagerFactory()
    lines = [("package", "Tea", "12", "14.00"), ("promo", "Discount", "1", "26.60")]
    order = OrderFactory(number="SO-1", customer=customer, account_manager=manager, lines=lines)
    session.commit()
    made = entry("SO-NEW", customer.id, manager.id)
    changed = entry("SO-1", customer.id, manager.id)
    key, version = order.id, order.version
    session.rollback()

    def committing(act: Callable[[Session], object]) -> Work:
        def work() -> None:
            act(db.session())
            db.session.commit()

        return work

    def heal() -> None:
        assert figures.heal(db.session, every_owner=True).failures == []

    return {
        "create": committing(lambda s: actions.create(s, made)),
        "update": committing(lambda s: actions.update(s, key, changed, version)),
        "delete": committing(
            lambda s: records.run_verb(s, ORDER, ORDER.verbs[0], key, version, {})
        ),
        "heal": heal,
    }


@pytest.fixture
def tampered(acts: dict[str, Work], admin_database_url: str) -> None:
    """Make every total of the order wrong, without a note of a trigger."""
    with psycopg.connect(admin_database_url, autocommit=True) as surgeon:
        surgeon.execute("SET session_replication_role = replica")
        surgeon.execute("UPDATE order_lines SET amount = 1")
        surgeon.execute("UPDATE orders SET total_price = 2, grand_total = 3")


ACTS = ("create", "update", "delete")
MOST_STATEMENTS = 60


@pytest.mark.parametrize("act", ACTS)
def test_fault_39_a_save_whose_backend_is_terminated_at_any_statement_leaves_nothing(
    act: str,
    acts: dict[str, Work],
    session: Any,
    outside: Outside,
    terminate: Callable[[int], None],
) -> None:
    before = digest(outside)
    for n in range(1, MOST_STATEMENTS):
        session.connection()  # a connection that dies before its first use is simply replaced
        with interrupted(n, terminate) as count:
            try:
                acts[act]()
            except DBAPIError:
                session.rollback()
                assert digest(outside) == before, f"statement {n} of {act}"
                continue
            break
    assert count[0] == n - 1, "the first attempt that nobody struck is the one that succeeds"
    assert n > 5
    assert digest(outside) != before
    assert list(figures.verify(session)) == []


@pytest.mark.parametrize("act", ACTS)
def test_fault_39_a_save_whose_process_is_killed_at_any_statement_leaves_nothing(
    act: str, app: Flask, acts: dict[str, Work], session: Any, outside: Outside
) -> None:
    before = digest(outside)
    for n in range(1, MOST_STATEMENTS):
        code = killed(app, lambda n=n: _suicidal(n, acts[act]))
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert digest(outside) == before, f"statement {n} of {act}"
    assert n > 5
    assert digest(outside) != before
    assert list(figures.verify(session)) == []


@pytest.mark.usefixtures("tampered")
def test_fault_39_a_heal_whose_process_is_killed_at_any_statement_heals_wholly_or_not_at_all(
    app: Flask, acts: dict[str, Work], session: Any, outside: Outside
) -> None:
    before = digest(outside)
    for n in range(1, MOST_STATEMENTS):
        code = killed(app, lambda n=n: _suicidal(n, acts["heal"]))
        if code == 0:
            break
        if digest(outside) != before:
            assert stored(outside) == Book.read(outside).totals(), f"statement {n}"
    assert n > 5
    assert stored(outside) == Book.read(outside).totals()
    corrections = outside.execute("SELECT figure, count(*) FROM corrections GROUP BY figure")
    assert dict(corrections.fetchall()) == {
        "order_lines.amount": 2,
        "orders.components": 1,
        "orders.grand_total": 1,
    }


def _suicidal(at: int, work: Work) -> None:
    with interrupted(at, lambda _: os.kill(os.getpid(), signal.SIGKILL)):
        work()


@pytest.fixture
def outside(owner_connection: Outside) -> Outside:
    """The connection of another program, which sees only what is committed."""
    return owner_connection


@pytest.fixture
def terminate(admin_database_url: str) -> Iterator[Callable[[int], None]]:
    """Terminates a backend and waits until it has ended."""
    with psycopg.connect(admin_database_url, autocommit=True) as admin:

        def end(pid: int) -> None:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

        yield end
