"""Installed triggers and functions are compared with their declarations: tampering is reported and repaired."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, NullPool, create_engine, select, text

from backoffice import audit, figures
from backoffice.app.domain import Declared, DeclaredTwice, Domain
from backoffice.app.edge import Backoffice
from backoffice.app.extensions import db
from backoffice.audit.triggers import declared
from backoffice.base import Base
from backoffice.commands.upgrade import upgrade
from backoffice.customers.triggers import stamps_balance
from backoffice.database.objects import DatabaseObject
from backoffice.drift import figure_status
from backoffice.figures.computing.registry import registry
from backoffice.figures.keeping.triggers import guard_objects, note_objects
from backoffice.runs import actions
from backoffice.runs.models import DONE_WITH_FAILURES, RunItem
from backoffice.runs.working import perform
from tests.factories.orders import OrderFactory

pytestmark = pytest.mark.slow

EMPTY = "BEGIN RETURN NULL; END"


def _with(item: DatabaseObject, **changes: Any) -> str:
    """SQL that replaces the trigger with another one that calls the same function."""
    changed = DatabaseObject(
        **{**{n: getattr(item, n) for n in item.__dataclass_fields__}, **changes}
    )
    kind = "CREATE CONSTRAINT TRIGGER" if changed.is_deferred else "CREATE TRIGGER"
    trigger = changed.create_sql.partition(kind)[2]
    return f"DROP TRIGGER {item.name} ON {item.table}; {kind} {trigger}"


def _replaced(item: DatabaseObject, **changes: Any) -> str:
    """SQL that replaces the function."""
    changed = DatabaseObject(
        **{**{n: getattr(item, n) for n in item.__dataclass_fields__}, **changes}
    )
    return changed.create_sql.partition("REVOKE")[0]


def _of_old(when: str) -> str:
    """The condition, where it can be evaluated on OLD rows."""
    return "" if "new." in when else when


WAYS: dict[str, Callable[[DatabaseObject], str]] = {
    "an empty function": lambda o: _replaced(o, body="BEGIN END" if o.answers == "void" else EMPTY),
    "other settings": lambda o: _replaced(o, settings=(("search_path", "pg_temp, public"),)),
    "the caller's rights": lambda o: f"ALTER FUNCTION {o.function} SECURITY INVOKER",
    "gone": lambda o: f"DROP FUNCTION {o.function} CASCADE",
}
"""Ways to tamper with any object."""

WAYS_OF_TRIGGERS: dict[str, Callable[[DatabaseObject], str]] = {
    "never": lambda o: _with(o, when="false"),
    "at another time": lambda o: _with(
        o, **({"is_deferred": False} if o.is_deferred else {"when": "false"})
    ),
    "on another table": lambda o: _with(o, table="idempotency_keys", when="", of=()),
    "switched off": lambda o: f"ALTER TABLE {o.table} DISABLE TRIGGER {o.name}",
    "for replicas alone": lambda o: f"ALTER TABLE {o.table} ENABLE REPLICA TRIGGER {o.name}",
    "dropped": lambda o: f"DROP TRIGGER {o.name} ON {o.table}",
    "another function": lambda o: (
        f"CREATE OR REPLACE FUNCTION stand_in() RETURNS trigger LANGUAGE plpgsql AS $${EMPTY}$$;"
        + _with(o).replace(f"public.{o.name}()", "stand_in()")
    ),
    "other events": lambda o: (
        _with(o, events=("update",), old_rows="", new_rows="")
        if o.events != ("update",)
        else _with(o, events=("delete",), old_rows="", new_rows="", of=(), when=_of_old(o.when))
    ),
}


@pytest.fixture
def as_owner(app: Flask, owner_database_url: str) -> Iterator[Connection]:
    """The owner's connection, in a transaction that is rolled back."""
    url = owner_database_url.replace("postgresql:", "postgresql+psycopg:", 1)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
        connection.rollback()


def run(connection: Connection, script: str) -> None:
    connection.exec_driver_sql(script, execution_options={"no_parameters": True})


def test_every_way_of_tampering_with_every_declared_trigger_is_named(
    app: Backoffice, as_owner: Connection
) -> None:
    assert figures.out_of_date(as_owner, app.declared.triggers) | audit.out_of_date(as_owner) == {}
    groups = {
        partial(figures.out_of_date, of_domains=app.declared.triggers): [
            *note_objects(registry),
            *guard_objects(app.declared.triggers),
        ],
        audit.out_of_date: declared(Base.metadata, registry),
    }
    missed, tried = [], 0
    for out_of_date, objects in groups.items():
        for way, tamper in (WAYS | WAYS_OF_TRIGGERS).items():
            items = [item for item in objects if item.table or way in WAYS]
            # Every other one at once: what is named is what was tampered with, and none of those between.
            for some in (items[::2], items[1::2]):
                with as_owner.begin_nested() as savepoint:
                    for item in some:
                        run(as_owner, tamper(item))
                    named = out_of_date(as_owner).keys()
                    savepoint.rollback()
                if wrong := named ^ {item.name for item in some}:
                    missed.append((way, wrong))
                tried += len(some)
    assert missed == []
    assert tried > 1000


OURS = """
SELECT p.proname FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""

TRIGGERS = """
SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace
"""


def test_every_function_and_trigger_of_the_database_is_declared(
    app: Backoffice, as_owner: Connection
) -> None:
    """Objects created by migrations used to be compared with nothing: a replaced one was not detected."""
    declared_here = [
        *note_objects(registry),
        *guard_objects(app.declared.triggers),
        *declared(Base.metadata, registry),
    ]
    names = {item.name for item in declared_here}
    names |= {item.aggregate for item in declared_here if item.aggregate}
    assert set(as_owner.scalars(text(OURS))) == names
    assert set(as_owner.scalars(text(TRIGGERS))) == {i.name for i in declared_here if i.table}


def test_a_domain_declares_a_trigger_once() -> None:
    item = stamps_balance("customers")
    twice = Domain("twice", triggers=(item, replace(item, body=EMPTY)))
    with pytest.raises(DeclaredTwice, match="Two triggers are called"):
        Declared([twice]).triggers  # noqa: B018 (asked for its refusal)


def test_a_second_function_of_that_name_is_named(app: Backoffice, as_owner: Connection) -> None:
    with as_owner.begin_nested() as savepoint:
        run(
            as_owner, "CREATE FUNCTION renew_statistics(int) RETURNS int LANGUAGE sql AS 'SELECT 1'"
        )
        assert list(figures.out_of_date(as_owner, app.declared.triggers)) == ["renew_statistics"]
        assert figures.sync(as_owner, app.declared.triggers) == ["renew_statistics"]
        assert figures.out_of_date(as_owner, app.declared.triggers) == {}
        savepoint.rollback()


TAMPERED = {
    "how lines are itemised": "CREATE OR REPLACE FUNCTION backoffice_order_lines_itemise_insert() RETURNS trigger "
    f"LANGUAGE plpgsql AS $${EMPTY}$$",
    "how a balance is stamped": "ALTER TABLE meters DISABLE TRIGGER backoffice_meters_stamp_balance",
    "where documents of a merged customer go": "CREATE OR REPLACE FUNCTION "
    "backoffice_payments_follow_merged_customer() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$",
    "what the trail may be let state": "CREATE OR REPLACE FUNCTION audit_accept(of_table text, of_row bigint, "
    "columns text[], before jsonb) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
    "a note function": "CREATE OR REPLACE FUNCTION backoffice_note_orders_update() RETURNS trigger "
    f"LANGUAGE plpgsql AS $${EMPTY}$$",
    "an audit function": "CREATE OR REPLACE FUNCTION backoffice_audit_orders_update() RETURNS trigger "
    f"LANGUAGE plpgsql AS $${EMPTY}$$",
    "a guard": "ALTER TABLE corrections DISABLE TRIGGER backoffice_append_only_corrections",
}


@pytest.fixture
def client(sign_in: Any) -> FlaskClient:
    """The browser of an administrator, who sees what a check found, as it is now."""
    browser: FlaskClient = sign_in("admin")
    return browser


@pytest.mark.parametrize("what", list(TAMPERED))
def test_what_was_tampered_with_is_told_by_readiness_and_repaired_with_an_event(
    what: str, app: Flask, client: FlaskClient, owner_connection: psycopg.Connection[Any]
) -> None:
    owner_connection.execute(TAMPERED[what].encode())
    answer = client.get("/readyz?deep=1")
    assert answer.status_code == 503
    assert answer.json is not None
    assert any("backoffice db upgrade" in said for said in answer.json["checks"].values())
    assert "renewed" in upgrade(app)[0]
    assert client.get("/readyz?deep=1").status_code == 200
    events = owner_connection.execute(
        "SELECT row_id, before ->> 'found' FROM audit_events WHERE table_name = 'schema_fingerprints'"
    ).fetchall()
    assert len(events) == 1
    assert events[0][0].split(",")[1] in TAMPERED[what]
    assert upgrade(app) == []


def test_what_was_written_while_nothing_was_noted_is_computed_by_the_repair(
    app: Flask, session: Any, owner_connection: psycopg.Connection[Any]
) -> None:
    order = OrderFactory()
    session.commit()
    owner_connection.execute(TAMPERED["a note function"].encode())
    owner_connection.execute("UPDATE orders SET total_price = total_price + 5")
    said = upgrade(app)
    assert any("rows were computed" in line for line in said), said
    session.refresh(order)
    assert list(figures.verify(db.engine)) == []


@pytest.mark.parametrize("whom", ["DATABASE backoffice", "ROLE backoffice_app"])
def test_triggers_that_a_setting_puts_to_sleep_are_told_and_woken(
    whom: str, app: Flask, client: FlaskClient, admin_database_url: str, database_url: str,
    owner_connection: psycopg.Connection[Any],
) -> None:  # fmt: skip
    with psycopg.connect(admin_database_url, autocommit=True) as admin:
        admin.execute(f"ALTER {whom} SET session_replication_role = replica".encode())
        try:
            reported = client.get("/readyz?deep=1")
            said = upgrade(app)
        finally:
            admin.execute(f"ALTER {whom} RESET session_replication_role".encode())
    assert reported.status_code == 503
    assert reported.json is not None
    assert "Triggers do not fire for the" in reported.json["checks"]["triggers_asleep"]
    assert "Triggers fire again for the" in said[0]
    with psycopg.connect(database_url) as fresh:
        assert fresh.execute("SHOW session_replication_role").fetchone() == ("origin",)
    assert client.get("/readyz?deep=1").status_code == 200
    events = owner_connection.execute(
        "SELECT count(*) FROM audit_events WHERE table_name = 'schema_fingerprints'"
    )
    assert events.fetchone() == (1,)


def test_a_foreign_key_that_is_switched_off_is_told_and_switched_on(
    app: Flask, client: FlaskClient, admin_database_url: str
) -> None:
    with psycopg.connect(admin_database_url, autocommit=True) as admin:
        admin.execute("ALTER TABLE orders DISABLE TRIGGER ALL")
    answer = client.get("/readyz?deep=1")
    assert answer.json is not None
    assert "the table orders" in answer.json["checks"]["triggers_asleep"]
    upgrade(app)
    assert client.get("/readyz?deep=1").status_code == 200


@pytest.mark.parametrize("what", list(TAMPERED))
def test_what_was_tampered_with_takes_no_host_out_of_service(
    what: str, app: Flask, client: FlaskClient, owner_connection: psycopg.Connection[Any]
) -> None:
    owner_connection.execute(TAMPERED[what].encode())
    deep, answer = client.get("/readyz?deep=1"), client.get("/readyz")
    upgrade(app)
    assert deep.status_code == 503
    assert (answer.status_code, answer.json) == (200, {
        "status": "ready", "checks": {"database": "ok", "migrations": "ok", "process_key": "ok"}
    })  # fmt: skip


def test_readiness_is_quick(app: Flask) -> None:
    client = app.test_client()
    client.get("/readyz?deep=1")
    times = []
    for _ in range(10):
        began = time.perf_counter()
        client.get("/readyz?deep=1")
        times.append(time.perf_counter() - began)
    assert min(times) < 0.25


@pytest.mark.parametrize("what", list(TAMPERED))
def test_the_nightly_verification_fails_what_was_tampered_with_and_the_dot_turns(
    what: str, app: Flask, session: Any, owner_connection: psycopg.Connection[Any]
) -> None:
    OrderFactory()
    session.commit()
    owner_connection.execute(TAMPERED[what].encode())
    run = actions.request(session, "figures.verify", {}, is_paced=False)
    session.commit()
    perform(db.engine, run.id)
    session.refresh(run)
    assert run.status == DONE_WITH_FAILURES
    [item] = session.scalars(select(RunItem).where(RunItem.run_id == run.id)).all()
    assert item.subject in TAMPERED[what]
    assert "backoffice db upgrade" in item.error
    session.rollback()
    app.extensions.pop("backoffice.drift.figure_status.guarded", None)
    assert figure_status.now().unguarded == 1
    assert figure_status.now().state == "unguarded"
    session.rollback()
    upgrade(app)
    app.extensions.pop("backoffice.drift.figure_status.guarded", None)
    assert figure_status.now().unguarded == 0
