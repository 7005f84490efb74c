"""The quarterly routine: statistics renewed, growth reported, indexes and queries worth a review listed."""

import json
from typing import Any

import psycopg
import pytest
from sqlalchemy import literal_column, select

from backoffice.app.extensions import db
from backoffice.runs import actions
from backoffice.runs.models import DONE, Run, RunItem
from backoffice.runs.working import perform
from backoffice.schedules.routine import (
    ALIKE,
    BLOATED,
    CODE,
    INDEX,
    QUERY,
    TABLE,
    UNUSED,
    WORTH_A_LOOK,
    Sized,
)
from tests.factories.customers import CustomerFactory
from tests.factories.ledger import AccountFactory
from tests.factories.orders import OrderFactory
from tests.factories.products import ProductFactory

pytestmark = pytest.mark.slow


def routine() -> tuple[Run, dict[str, RunItem]]:
    run_id = actions.request(db.session(), "database.routine", {}, is_paced=False).id
    db.session.commit()
    perform(db.engine, run_id)
    run = db.session.get_one(Run, run_id, populate_existing=True)
    items = db.session.scalars(select(RunItem).where(RunItem.run_id == run_id))
    named = {next(iter(item.key.values())): item for item in items}
    db.session.rollback()
    return run, named


def statistics_of(connection: psycopg.Connection[Any], table: str) -> Any:
    query = "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass"
    return connection.execute(query, (table,)).fetchone()


def test_it_renews_statistics_as_the_apps_own_role(session: Any, app_connection: Any) -> None:
    app_connection.execute(
        "INSERT INTO users (email, name) SELECT 'u' || n, 'U' FROM generate_series(1, 321) n"
    )
    run, items = routine()
    assert run.status == DONE, run.error
    assert run.failed == 0
    assert statistics_of(app_connection, "users") == (321,)
    assert items["users"].subject == TABLE
    assert items["users"].outcome == "applied"
    assert run.result["bytes"] >= items["users"].after["bytes"] > 0


def test_it_tells_how_a_table_has_grown_since_the_last_routine(
    session: Any, app_connection: Any
) -> None:
    _, first = routine()
    app_connection.execute(
        "INSERT INTO users (email, name) SELECT 'u' || n, repeat('x', 200) FROM generate_series(1, 5000) n"
    )
    _, second = routine()
    assert first["users"].before == {}
    assert second["users"].before == first["users"].after
    assert second["users"].after["bytes"] > second["users"].before["bytes"] + 1_000_000


def test_an_index_that_nobody_reads_is_named_and_left_alone(
    session: Any, owner_connection: Any
) -> None:
    owner_connection.execute(
        "INSERT INTO users (email, name) SELECT 'u' || n, md5(n::text) FROM generate_series(1, 30000) n"
    )
    owner_connection.execute("CREATE INDEX ix_never_read ON users (name)")
    try:
        run, items = routine()
        item = items["ix_never_read"]
        assert (item.subject, item.outcome, item.error) == (INDEX, "skipped", UNUSED)
        assert run.result["unused_indexes"] >= 1
        there = owner_connection.execute("SELECT to_regclass('ix_never_read') IS NOT NULL")
        assert there.fetchone() == (True,)
    finally:
        owner_connection.execute("DROP INDEX ix_never_read")


def test_a_bloated_index_is_named(session: Any, owner_connection: Any) -> None:
    connection = owner_connection
    connection.execute("CREATE TABLE swollen (id int PRIMARY KEY) WITH (autovacuum_enabled = off)")
    try:
        connection.execute("GRANT SELECT ON swollen TO PUBLIC")
        connection.execute("INSERT INTO swollen SELECT generate_series(1, 100000)")
        connection.execute("DELETE FROM swollen WHERE id > 1000")
        connection.execute("VACUUM swollen")
        _, items = routine()
        assert items["swollen_pkey"].error == BLOATED
    finally:
        connection.execute("DROP TABLE swollen")


def test_codes_that_look_alike_from_before_are_named(session: Any) -> None:
    for code in ("KAF\u00c9", "KAFE\u0301", "kaf\u00e9", "OTHER"):
        CustomerFactory(code=code)
    OrderFactory(number="SO-1")
    OrderFactory(number="so-1")
    session.commit()
    run, items = routine()
    found = {key: item for key, item in items.items() if item.subject == CODE}
    assert {tuple(sorted(key.split(", "))) for key in found} == {
        tuple(sorted(("KAF\u00c9", "KAFE\u0301", "kaf\u00e9"))),
        ("SO-1", "so-1"),
    }
    assert {item.error for item in found.values()} == {ALIKE}
    assert run.result["codes_alike"] == 2


def test_the_codes_of_each_record_are_a_chunk_of_their_own(session: Any) -> None:
    """So that none outlasts its worker's lease on a book of millions."""
    for make, name in (
        (CustomerFactory, "code"),
        (ProductFactory, "code"),
        (OrderFactory, "number"),
        (AccountFactory, "code"),
    ):
        make(**{name: "SAME-1"})
        make(**{name: "same-1"})
    session.commit()
    run_id = actions.request(session, "database.routine", {}, is_paced=False).id
    session.commit()
    perform(db.engine, run_id)
    of_codes = (RunItem.run_id == run_id, RunItem.subject == CODE)
    written = select(RunItem.details["table"].astext, literal_column("xmin::text"))
    rows = session.execute(written.where(*of_codes))
    transactions = {row[0]: row[1] for row in rows}
    assert sorted(transactions) == ["accounts", "customers", "orders", "products"]
    assert len(set(transactions.values())) == 4


@pytest.mark.parametrize(
    ("size", "needed", "scans", "is_unique", "complaint"),
    [
        (WORTH_A_LOOK * 3, WORTH_A_LOOK, 1, False, BLOATED),
        (WORTH_A_LOOK * 2, WORTH_A_LOOK, 1, False, ""),
        (WORTH_A_LOOK * 3, None, 1, False, ""),
        (WORTH_A_LOOK, 1, 0, False, ""),
        (WORTH_A_LOOK + 1, WORTH_A_LOOK, 0, False, UNUSED),
        (WORTH_A_LOOK + 1, WORTH_A_LOOK, 0, True, ""),
    ],
)
def test_what_deserves_a_look(size, needed, scans, is_unique, complaint) -> None:
    assert Sized("i", "t", size, needed, scans, is_unique).complaint == complaint


def test_without_the_extension_queries_are_not_counted_and_that_is_said(session: Any) -> None:
    run, items = routine()
    assert run.result["queries_are_counted"] is False
    assert {item.subject for item in items.values()} <= {TABLE, INDEX}


def test_slow_statements_of_our_own_logs_stand_there_without_the_extension(
    app: Any, session: Any
) -> None:
    logs = app.config["BACKOFFICE_HOME"] / "logs"
    logs.mkdir(exist_ok=True)
    reported = {"event": "slow query", "level": "warning"}
    lines = [
        json.dumps({**reported, "statement": "SELECT 1 FROM slow", "milliseconds": 900}),
        json.dumps({**reported, "statement": "SELECT 1 FROM slow", "milliseconds": 601}),
        json.dumps({**reported, "statement": "SELECT 2 FROM slower", "milliseconds": 4000}),
        json.dumps({"event": "request", "path": "/slow query"}),
        "slow query, but no JSON",
        json.dumps({**reported, "statement": None, "milliseconds": "x"}),
    ]
    log = logs / "web.log"
    log.write_text("\n".join(lines) + "\n")
    try:
        run, items = routine()
    finally:
        log.unlink()
    queries = [item for item in items.values() if item.subject == QUERY]
    assert [item.key["query"] for item in queries] == ["SELECT 2 FROM slower", "SELECT 1 FROM slow"]
    assert queries[1].details == {"calls": 2, "mean_ms": "750.5", "total_ms": "1501"}
    assert run.result["slow_queries"] == 2
    assert run.result["queries_are_counted"] is False


def test_the_command_does_it_here_and_now(app: Any, run_command: Any) -> None:
    done = run_command("db", "routine", "--json")
    assert done.exit_code == 0, done.output
    reported = json.loads(done.stdout)
    assert reported["status"] == DONE
    assert reported["changed"] > 20


def test_the_role_that_asks_for_statistics_can_ask_for_nothing_else(app_connection: Any) -> None:
    for name in ("no_such_table", "users; DROP TABLE users", "pg_catalog.pg_class"):
        with pytest.raises(psycopg.errors.UndefinedTable):
            app_connection.execute("SELECT renew_statistics(%s)", (name,))
    assert app_connection.execute("SELECT count(*) >= 0 FROM users").fetchone() == (True,)
