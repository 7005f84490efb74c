"""The book stores its currency and time zone, and no process with other settings can change it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import click
import psycopg
import pytest
from flask import Flask
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from backoffice import figures
from backoffice.app.config import ROOT
from backoffice.app.extensions import db
from backoffice.base import money
from backoffice.book import MeaningDiffers, difference_in
from backoffice.commands.cli import main
from backoffice.commands.upgrade import upgrade
from tests.factories.orders import OrderFactory

pytestmark = pytest.mark.slow

Connection = psycopg.Connection[Any]

WAYS = {
    "currency": {"CURRENCY": "VND"},
    "time zone": {"BUSINESS_TIMEZONE": "Europe/Berlin"},
    "both": {"CURRENCY": "VND", "BUSINESS_TIMEZONE": "Europe/Berlin"},
}

NEEDS_NO_BOOK = {
    ("info",), ("dev",), ("db", "set-meaning"), ("db", "psql"),
    *(("db", name) for name in ("check", "current", "heads", "history", "revision", "show")),
}  # fmt: skip
"""Commands that report on the schema, or start processes; `dev` upgrades first, as `db upgrade` does."""

WORDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("figures", "explain"): ("orders.grand_total", "1"),
    ("figures", "reconcile"): ("orders.grand_total",),
    ("audit", "accept-fact"): ("1", "--reason", "r"),
    ("audit", "restore-fact"): ("1", "--reason", "r"),
    ("import",): ("customers", str(ROOT / "tests" / "data" / "northwind" / "customers.csv")),
    ("runs", "apply"): ("1", "--reason", "r"),
    ("runs", "approve"): ("1",),
    ("runs", "cancel"): ("1",),
    ("runs", "retry"): ("1",),
    ("runs", "show"): ("1",),
    ("balance", "initialize-realtime"): ("--all",),
    ("balance", "lock"): ("--until", "1950-01-01", "--reason", "x"),
    ("balance", "sync-realtime"): ("--all",),
    ("ledger", "close-period"): ("2026-01",),
    ("ledger", "export"): ("journal",),
    ("ledger", "post"): ("D-1",),
    ("ledger", "reopen-period"): ("2026-01", "--reason", "r"),
    ("ledger", "reverse"): ("JE-2026-00001",),
    ("schedule", "run"): ("balance-verify-sync",),
    ("tokens", "create"): ("--name", "n", "--scope", "metrics"),
    ("tokens", "revoke"): ("n",),
    ("users", "create"): ("a@example.com", "--name", "A", "--password", "long enough to pass"),
    ("users", "disable"): ("a@example.com",),
    ("users", "enable"): ("a@example.com",),
    ("users", "set-password"): ("a@example.com", "--password", "long enough to pass"),
    ("users", "set-role"): ("a@example.com", "admin"),
}
"""Command → the arguments it needs to get as far as the book."""


def declared(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command of the tree, as the path of its names."""
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from declared(inner, (*path, name))


COMMANDS = [path for path in declared(main) if path not in NEEDS_NO_BOOK]


def no_other(admin_database_url: str) -> None:
    """End the connections in the pools of earlier tests, which the command would count as running processes."""
    others = (
        "FROM pg_stat_activity WHERE application_name = 'backoffice' AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(admin_database_url, autocommit=True) as admin:
        admin.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}".encode())


@pytest.fixture
def wrong_order(app: Flask, surgery: Connection) -> None:
    """An order with a stored total that was changed without firing triggers, so that a heal would write."""
    with app.app_context():
        OrderFactory()
        db.session.commit()
    surgery.execute("UPDATE orders SET grand_total = grand_total + 1")


@pytest.fixture
def understood_as(app: Flask) -> Iterator[Callable[..., None]]:
    """`understood_as(currency="VND")`: sets the currency of this process only, on new connections."""

    def understood_as(currency: str) -> None:
        money.set_currency(currency)
        with app.app_context():
            db.session.remove()
            db.engine.dispose()

    yield understood_as
    money.set_currency("IDR")


def outcome(program: tuple[str, ...], **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a separate process, as an operator does."""
    return subprocess.run(
        [sys.executable, *program], capture_output=True, text=True, timeout=200, cwd=ROOT, check=False,
        env={**os.environ, **settings},
    )  # fmt: skip


def everything(connection: Connection) -> dict[str, Any]:
    """The content of every table, so that a refusal that writes is detected."""
    names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    query = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} AS t"
    return {
        name: connection.execute(sql.SQL(query).format(sql.Identifier(name))).fetchone()
        for (name,) in names.fetchall()
    }


@pytest.mark.leaves_drift
@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_command_touches_a_book_of_another_currency(
    path: tuple[str, ...], wrong_order: None, run_command: Callable[..., Any],
    owner_connection: Connection, understood_as: Callable[..., None],
) -> None:  # fmt: skip
    before = everything(owner_connection)
    understood_as(currency="VND")
    done = run_command(*path, *WORDS.get(path, ()))
    assert done.exit_code == 2, done.output
    assert "CURRENCY is VND here, IDR in the book" in done.stderr
    assert "backoffice db set-meaning --currency VND --reason" in done.stderr
    assert everything(owner_connection) == before


@pytest.mark.leaves_drift
def test_a_heal_in_another_currency_rewrites_nothing(
    wrong_order: None, app: Flask, owner_connection: Connection
) -> None:
    done = outcome(
        ("-c", "from backoffice.commands.cli import main; main()", "figures", "heal"),
        CURRENCY="VND",
    )
    assert done.returncode == 2, done.stdout
    assert "CURRENCY is VND here, IDR in the book" in done.stderr
    assert "Traceback" not in done.stderr
    assert owner_connection.execute("SELECT count(*) FROM corrections").fetchone() == (0,)


WEB = "-m gunicorn -c deploy/gunicorn.conf.py"


@pytest.mark.parametrize(
    ("process", "way"),
    [("worker.py", "currency"), ("worker.py --scheduler", "time zone"), (WEB, "both")],
)
def test_no_process_starts_on_a_book_that_it_understands_otherwise(
    process: str, way: str, app: Flask
) -> None:
    done = outcome(tuple(process.split()), **WAYS[way], WEB_CONCURRENCY="1", PORT="1")
    assert done.returncode not in (0, None)
    for name, value in WAYS[way].items():
        assert f"{name} is {value} here" in done.stderr
        assert name in done.stderr.partition("Start with")[2]
    assert "Traceback" not in done.stderr


def test_a_connection_is_refused_wherever_it_begins(
    app: Flask, understood_as: Callable[..., None]
) -> None:
    understood_as("VND")
    with app.app_context():
        with pytest.raises(OperationalError) as refused:
            list(figures.verify(db.engine))
        assert isinstance(difference_in(refused.value), MeaningDiffers)
        with pytest.raises(OperationalError):
            figures.heal(db.engine)


def test_readiness_names_the_difference(app: Flask, understood_as: Callable[..., None]) -> None:
    understood_as("VND")
    ready = app.test_client().get("/readyz")
    alive = app.test_client().get("/healthz")
    money.set_currency("IDR")
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert ready.json is not None
    assert "CURRENCY is VND here, IDR in the book" in ready.json["checks"]["book"]
    assert app.test_client().get("/readyz").status_code == 200


SENTENCES = {
    "en": "This server was started with CURRENCY=VND, and the book is kept with CURRENCY=IDR.",
    "id": "Server ini dijalankan dengan CURRENCY=VND, sedangkan pembukuan memakai CURRENCY=IDR.",
}


@pytest.mark.parametrize("language", list(SENTENCES))
@pytest.mark.parametrize("how", ["page", "save", "fragment", "program"])
def test_a_session_on_a_server_that_understands_the_book_otherwise_sees_why(
    language: str, how: str, app: Flask, understood_as: Callable[..., None], sign_in: Any
) -> None:
    """Each connection compares the settings: a server process may have started before the book was changed."""
    browser = sign_in("finance")
    understood_as("VND")
    headers = {"Accept-Language": language}
    if how == "save":
        answer = browser.post("/orders/new", data={"number": "A-1"}, headers=headers)
    elif how == "program":
        answer = browser.get("/orders", headers=headers | {"Accept": "application/json"})
    else:
        asked = {"HX-Request": "true"} if how == "fragment" else {}
        answer = browser.get("/orders", headers=headers | asked)
    money.set_currency("IDR")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert SENTENCES[language] in answer.text
    assert "CURRENCY=IDR" in answer.text
    assert browser.get("/orders").status_code == 200, "the session stands"


def test_a_session_on_a_book_that_says_nothing_of_itself_sees_why(
    app: Flask, sign_in: Any, owner_connection: Connection
) -> None:
    browser = sign_in("finance")
    owner_connection.execute("DELETE FROM book")
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    answer = browser.get("/orders")
    upgrade(app)
    assert answer.status_code == 503
    assert "does not say yet in which currency and time zone its book is kept" in answer.text


def test_the_apps_role_may_not_say_what_the_book_means(app_connection: Connection) -> None:
    for statement in (b"UPDATE book SET currency = 'VND'", b"DELETE FROM book", b"TRUNCATE book"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_connection.execute(statement)


def test_a_book_without_its_meaning_is_refused_until_an_upgrade_records_it(
    app: Flask, owner_connection: Connection, run_command: Callable[..., Any]
) -> None:
    owner_connection.execute("DELETE FROM book")
    with app.app_context():
        db.engine.dispose()
        with pytest.raises(OperationalError, match="backoffice db upgrade"):
            db.session.execute(text("SELECT 1"))
    assert upgrade(app) == ["The book is kept in IDR, by the days of Asia/Jakarta."]
    event = owner_connection.execute(
        "SELECT action, after ->> 'currency' FROM audit_events WHERE table_name = 'book' ORDER BY id"
    ).fetchall()
    assert event == [("DELETE", None), ("INSERT", "IDR")]


def test_changing_the_meaning_on_purpose_is_told_beforehand_audited_and_computed(
    app: Flask, means: Callable[..., None], run_command: Callable[..., Any],
    owner_connection: Connection, admin_database_url: str,
) -> None:  # fmt: skip
    with app.app_context():
        order = OrderFactory(total_price=Decimal("10.40"))
        db.session.commit()
        order_id = order.id
        db.session.remove()
        db.engine.dispose()
    no_other(admin_database_url)
    asked = run_command("db", "set-meaning", "--currency", "VND", "--dry-run", "--json")
    assert asked.exit_code == 0, asked.output
    reported = json.loads(asked.stdout)
    assert reported["dry_run"]
    assert (reported["before"]["currency"], reported["after"]["currency"]) == ("IDR", "VND")
    assert reported["fractions"] == {"orders.total_price": 1}
    assert owner_connection.execute("SELECT currency FROM book").fetchone() == ("IDR",)

    done = run_command("db", "set-meaning", "--currency", "VND", "--reason", "Moved to Hanoi")
    assert done.exit_code == 0, done.output
    assert "CURRENCY=VND" in done.stdout
    event = owner_connection.execute(
        "SELECT before ->> 'currency', after ->> 'currency', after ->> 'reason', actor "
        "FROM audit_events WHERE table_name = 'book'"
    ).fetchone()
    assert event is not None
    assert event[:3] == ("IDR", "VND", "Moved to Hanoi")
    assert event[3].startswith("cli:")

    means(currency="VND")
    assert upgrade(app) == []  # every figure is checked; none of this order is rounded
    owner_connection.execute("UPDATE orders SET total_price = 10 WHERE id = %s", [order_id])
    means()
    with app.app_context():
        figures.heal_noted(db.engine)
        assert upgrade(app) == []


def test_set_meaning_waits_for_nobody_who_computes_by_the_old_one(
    app: Flask, database_url: str, run_command: Callable[..., Any], owner_connection: Connection
) -> None:
    with psycopg.connect(database_url, application_name="backoffice"):
        refused = run_command("db", "set-meaning", "--currency", "VND", "--reason", "r")
    assert refused.exit_code == 2
    assert "Stop web, workers and scheduler first" in refused.stderr
    assert owner_connection.execute("SELECT currency FROM book").fetchone() == ("IDR",)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--currency", "VND"),
        ("--currency", "XXX", "--reason", "r"),
        ("--timezone", "Mars/Olympus", "--reason", "r"),
        ("--currency", "VND", "--reason", "  "),
    ],
)
def test_set_meaning_refuses_what_is_no_order(
    words: tuple[str, ...], run_command: Callable[..., Any], owner_connection: Connection
) -> None:
    assert run_command("db", "set-meaning", *words).exit_code == 2
    assert owner_connection.execute("SELECT currency FROM book").fetchone() == ("IDR",)


def test_the_same_meaning_changes_nothing(
    run_command: Callable[..., Any], owner_connection: Connection
) -> None:
    done = run_command("db", "set-meaning", "--currency", "IDR", "--reason", "r")
    assert (done.exit_code, done.stdout) == (0, "The book means that already.\n")
    assert owner_connection.execute("SELECT count(*) FROM audit_events").fetchone() == (0,)
