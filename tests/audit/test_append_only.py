"""Neither the app's role nor the owner, by accident, can change the trail."""

from typing import Any

import psycopg
import pytest
from sqlalchemy.orm import Session

from tests.factories.customers import CustomerFactory

CHANGES = {
    "UPDATE": "UPDATE audit_events SET actor = 'nobody'",
    "DELETE": "DELETE FROM audit_events",
    "TRUNCATE": "TRUNCATE audit_events",
}

TAMPERING = {
    "INSERT": "INSERT INTO audit_events (table_name, action) VALUES ('orders', 'UPDATE')",
    "disable": "ALTER TABLE customers DISABLE TRIGGER ALL",
    "replica": "SET session_replication_role = replica",
    "drop": "DROP FUNCTION backoffice_audit_customers_update() CASCADE",
    "replace": "CREATE OR REPLACE FUNCTION backoffice_audit_customers_update() RETURNS trigger "
    "LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    "call": "SELECT backoffice_audit_customers_update()",
    "borrow": "CREATE TEMP TABLE t (id int); CREATE TRIGGER t AFTER INSERT ON t "
    "FOR EACH STATEMENT EXECUTE FUNCTION backoffice_audit_customers_truncate()",
}


@pytest.fixture
def one_event(session: Session) -> None:
    """A trail with one event."""
    CustomerFactory(code="A")
    session.commit()


def count(connection: psycopg.Connection[Any]) -> int:
    """The number of events in the trail."""
    row = connection.execute("SELECT count(*) FROM audit_events").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.usefixtures("one_event")
@pytest.mark.parametrize("change", list(CHANGES))
def test_fault_15_the_apps_role_cannot_change_the_trail(
    change: str, app_connection: psycopg.Connection[Any]
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(CHANGES[change])  # type: ignore[call-overload]
    assert count(app_connection) == 1


@pytest.mark.usefixtures("one_event")
@pytest.mark.parametrize("change", list(CHANGES))
def test_fault_15_even_its_owner_is_refused_with_a_sentence(
    change: str, owner_connection: psycopg.Connection[Any]
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        owner_connection.execute(CHANGES[change])  # type: ignore[call-overload]
    assert count(owner_connection) == 1


@pytest.mark.usefixtures("one_event")
@pytest.mark.parametrize("way", list(TAMPERING))
def test_fault_15_the_apps_role_cannot_get_round_the_trail(
    way: str, app_connection: psycopg.Connection[Any]
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        app_connection.execute(TAMPERING[way])  # type: ignore[call-overload]
    assert count(app_connection) == 1


@pytest.mark.usefixtures("one_event")
def test_a_table_of_the_callers_cannot_stand_in_for_the_trail(
    app_connection: psycopg.Connection[Any],
) -> None:
    app_connection.execute("CREATE TEMP TABLE audit_events (LIKE public.audit_events)")
    app_connection.execute("SET search_path = pg_temp, public")
    app_connection.execute("UPDATE customers SET city = 'Elsewhere'")
    row = app_connection.execute("SELECT count(*) FROM public.audit_events").fetchone()
    assert row == (2,)


@pytest.mark.usefixtures("one_event")
def test_what_is_recorded_does_not_depend_on_the_callers_settings(
    app_connection: psycopg.Connection[Any],
) -> None:
    app_connection.execute("SET timezone = 'America/New_York'")
    app_connection.execute("SET datestyle = 'German'")
    app_connection.execute("INSERT INTO customers (code, name) VALUES ('B', 'b')")
    row = app_connection.execute(
        "SELECT after ->> 'created_at' FROM audit_events ORDER BY id DESC LIMIT 1"
    ).fetchone()
    assert row is not None
    assert row[0].endswith("+00:00")
