"""The app's role may change business rows, but not the triggers, tables and records that guard them."""

from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg import sql
from sqlalchemy import create_engine

from backoffice.database import grants
from backoffice.database.grants import PRIVILEGES, WORK

ALL = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

Connection = psycopg.Connection[Any]


def test_every_table_gives_the_app_exactly_what_the_list_says(owner_connection: Connection) -> None:
    tables = owner_connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = {name: set[str]() for (name,) in tables}
    for name, privileges in found.items():
        for privilege in ALL:
            query = "SELECT has_table_privilege('backoffice_app', %s, %s)"
            if owner_connection.execute(query, [f"public.{name}", privilege]).fetchone() == (True,):
                privileges.add(privilege)
    # A privilege with brackets is on columns, not on the table.
    listed = {name: {p for p in PRIVILEGES.get(name, WORK) if "(" not in p} for name in found}
    assert found == listed
    assert set(PRIVILEGES) <= set(found), "The list names a table that does not exist."


def test_a_privilege_that_the_list_does_not_name_is_taken_away(
    app: Flask, owner_connection: Connection
) -> None:
    owner_connection.execute("GRANT UPDATE, DELETE ON audit_seals TO backoffice_app")
    engine = create_engine(app.config["MIGRATION_DATABASE_URL"])
    with engine.begin() as connection:
        grants.sync(connection, "backoffice_app")
    engine.dispose()
    test_every_table_gives_the_app_exactly_what_the_list_says(owner_connection)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE orders DISABLE TRIGGER ALL",
        "ALTER TABLE orders DISABLE TRIGGER USER",
        "ALTER TABLE orders ADD COLUMN hole text",
        "DROP TABLE orders",
        "TRUNCATE orders CASCADE",
        "TRUNCATE corrections",
        "TRUNCATE audit_events",
        "UPDATE corrections SET reason = ''",
        "DELETE FROM corrections",
        "INSERT INTO audit_events (table_name, action) VALUES ('orders', 'DELETE')",
        "UPDATE audit_events SET actor = ''",
        "DELETE FROM audit_events",
        "UPDATE figure_notes SET owner = 1",
        "INSERT INTO figure_notes (bundle) VALUES ('orders')",
        "UPDATE schema_fingerprints SET fingerprint = ''",
        "UPDATE alembic_version SET version_num = ''",
        "CREATE TABLE mine ()",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE SCHEMA mine",
        "SET session_replication_role = replica",
        "SET ROLE backoffice_owner",
        "SET ROLE backoffice_admin",
        "CREATE ROLE mine SUPERUSER",
        "COPY orders TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
    ],
)
def test_the_app_may_not(app_connection: Connection, statement: str) -> None:
    with pytest.raises(
        (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)
    ):
        app_connection.execute(statement.encode())


def test_the_triggers_cannot_be_dropped_replaced_or_called_by_the_app(
    owner_connection: Connection, app_connection: Connection
) -> None:
    triggers = owner_connection.execute(
        "SELECT tgname, tgrelid::regclass::text, tgfoid::regprocedure::text FROM pg_trigger "
        "WHERE NOT tgisinternal"
    ).fetchall()
    assert triggers
    app_connection.execute("CREATE TEMP TABLE mine (id bigint)")
    for name, table, function in triggers:
        call = sql.SQL("CREATE TRIGGER mine AFTER INSERT ON mine EXECUTE FUNCTION " + function)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_connection.execute(call)
        drop = sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(name), sql.Identifier(table))
        for statement in (drop, sql.SQL("DROP FUNCTION " + function + " CASCADE")):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app_connection.execute(statement)


def test_the_owner_is_no_superuser_and_migrates_all_the_same(owner_connection: Connection) -> None:
    row = owner_connection.execute(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles "
        "WHERE rolname = current_user"
    ).fetchone()
    assert row == (False, False, False, False)
