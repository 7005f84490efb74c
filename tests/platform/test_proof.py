"""With the database's password, but without the app's key, no program can forge corrections or delete notes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.audit.chain import sealing
from backoffice.audit.chain.keys import Keyring
from backoffice.commands.upgrade import upgrade
from backoffice.database import proof
from tests.factories.orders import OrderFactory

Connection = psycopg.Connection[Any]

FORGED = "INSERT INTO corrections (figure, owner, key, cause) VALUES ('orders.grand_total', 1, '{}', 'heal')"
TAKEN = "DELETE FROM figure_notes"
PUT_OFF = "UPDATE figure_notes SET retry_at = '2199-12-31', attempts = 9"
RENAMED = "UPDATE figure_notes SET db_user = 'another user'"
FORBIDDEN = {"forge": FORGED, "take": TAKEN, "put off": PUT_OFF, "in another's name": RENAMED}
GUARDS = {
    "forge": "ALTER TABLE corrections DISABLE TRIGGER backoffice_guard_corrections",
    "take": "ALTER TABLE figure_notes DISABLE TRIGGER backoffice_guard_notes_delete",
    "put off": "ALTER TABLE figure_notes DISABLE TRIGGER backoffice_guard_notes_update",
    "in another's name": "ALTER TABLE figure_notes DISABLE TRIGGER backoffice_guard_notes_update",
}


@pytest.fixture
def noted(session: Any, app_connection: Connection) -> None:
    """An order that another program has changed, with the pending note of that change."""
    OrderFactory()
    session.commit()
    app_connection.execute("UPDATE orders SET total_price = total_price + 1")


def count(connection: Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def drained(app: Flask) -> Iterator[None]:
    """Drain the notes at the end of the test, as the app's own process would."""
    yield
    with app.app_context():
        figures.heal_noted(db.engine)


GUESSES = ["", "guess", "backoffice", "0" * 64]


@pytest.mark.usefixtures("noted", "drained")
@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize("what", list(FORBIDDEN))
def test_the_apps_role_is_refused_whatever_it_says(
    what: str, guess: str, app_connection: Connection
) -> None:
    app_connection.execute("SELECT set_config('backoffice.proof', %s, false)", [guess])
    notes = count(app_connection, "figure_notes")
    assert notes
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="own processes only"):
        app_connection.execute(FORBIDDEN[what].encode())
    assert (count(app_connection, "figure_notes"), count(app_connection, "corrections")) == (
        notes,
        0,
    )


@pytest.mark.usefixtures("noted", "drained")
@pytest.mark.parametrize("what", list(FORBIDDEN))
def test_mutant_without_its_guard_each_of_them_succeeds(
    what: str, owner_connection: Connection, app_connection: Connection
) -> None:
    owner_connection.execute(GUARDS[what].encode())
    try:
        with app_connection.transaction(force_rollback=True):
            app_connection.execute(FORBIDDEN[what].encode())
    finally:
        owner_connection.execute(GUARDS[what].replace("DISABLE", "ENABLE").encode())


@pytest.mark.usefixtures("drained")
@pytest.mark.parametrize("statement", [TAKEN, PUT_OFF, RENAMED])
def test_a_program_cannot_hide_its_own_write(
    statement: str, session: Any, app_connection: Connection
) -> None:
    OrderFactory()
    session.commit()
    with app_connection.transaction(force_rollback=True):
        app_connection.execute("UPDATE orders SET total_price = total_price + 1")
        assert count(app_connection, "figure_notes")
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="own processes only"),
            app_connection.transaction(),
        ):
            app_connection.execute(f"{statement} WHERE xid = pg_current_xact_id()".encode())
        assert count(app_connection, "figure_notes")


@pytest.mark.usefixtures("drained")
@pytest.mark.parametrize(
    "names", ["orders", "order_lines,orders", "account_manager_targets.achieved"]
)
def test_no_setting_of_a_session_silences_notes(
    names: str, session: Any, app_connection: Connection
) -> None:
    OrderFactory()
    session.commit()
    app_connection.execute("SELECT set_config('backoffice.settling', %s, false)", [names])
    app_connection.execute("UPDATE orders SET total_price = total_price + 1, grand_total = 0")
    bundles = app_connection.execute("SELECT bundle FROM figure_notes").fetchall()
    assert any(name.startswith("orders") for (name,) in bundles)


@pytest.mark.usefixtures("noted", "drained")
def test_our_own_process_is_let_in_by_what_it_says(
    app: Flask, session: Any, app_connection: Connection
) -> None:
    with app_connection.transaction(force_rollback=True):
        said = proof.token(session.connection())
        app_connection.execute("SELECT set_config('backoffice.proof', %s, true)", [said])
        for statement in FORBIDDEN.values():
            app_connection.execute(statement.encode())


def test_the_keys_are_the_owners_alone(app_connection: Connection) -> None:
    for statement in (b"SELECT * FROM process_keys", b"INSERT INTO process_keys VALUES (9, 'x')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app_connection.execute(statement)


def test_what_is_said_is_a_parameter_and_ends_with_the_transaction(
    session: Any, owner_connection: Connection
) -> None:
    connection = session.connection()
    proof.prove(connection)
    seen = owner_connection.execute(
        "SELECT query FROM pg_stat_activity WHERE query LIKE '%set_config%' AND pid <> pg_backend_pid()"
    ).fetchall()
    assert not any(proof.token(connection) in query for (query,) in seen)
    session.commit()
    assert (
        not session.connection()
        .exec_driver_sql("SELECT current_setting('backoffice.proof', true)")
        .scalar()
    )


def test_an_unknown_key_is_told_by_readiness_and_registered_by_an_upgrade_beside_the_other(
    app: Flask, client: FlaskClient, owner_connection: Connection
) -> None:
    with app.app_context():
        before = app.config["SECRET_KEY"]
        proof.set_secret(db.engine, "another secret, of a later day")
        app.config["SECRET_KEY"] = "another secret, of a later day"
        try:
            answer = client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json is not None
            assert "SECRET_KEY" in answer.json["checks"]["process_key"]
            upgrade(app)
            after = client.get("/readyz")
            assert after.status_code == 200, str(after.json)
        finally:
            proof.set_secret(db.engine, before)
            app.config["SECRET_KEY"] = before
    after = client.get("/readyz")
    assert after.status_code == 200, after.json  # the previous key is still registered
    assert count(owner_connection, "process_keys") == 2
    reported = owner_connection.execute(
        "SELECT after FROM audit_events WHERE table_name = 'process_keys'"
    ).fetchall()
    assert [event["token_hash"] for (event,) in reported] == ["changed"]
    owner_connection.execute(
        "DELETE FROM process_keys WHERE id = (SELECT max(id) FROM process_keys)"
    )


CHANGES = {
    "UPDATE": "UPDATE corrections SET reason = 'it was me'",
    "DELETE": "DELETE FROM corrections",
    "TRUNCATE": "TRUNCATE corrections",
}


@pytest.fixture
def corrected(app: Flask, session: Any, surgery: Connection) -> list[int]:
    """Three corrections, recorded in the audit trail and sealed."""
    orders = [OrderFactory() for _ in range(3)]
    session.commit()
    surgery.execute("UPDATE orders SET grand_total = grand_total + 7")
    figures.heal(db.engine)
    sealing.seal(db.engine, Keyring.of(app.config))
    rows = session.execute(db.text("SELECT id FROM corrections ORDER BY id")).scalars()
    found = [int(each) for each in rows]
    assert len(found) == len(orders)
    session.rollback()
    return found


@pytest.mark.usefixtures("corrected")
@pytest.mark.parametrize("change", list(CHANGES))
def test_even_their_owner_cannot_change_corrections(
    change: str, owner_connection: Connection
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        owner_connection.execute(CHANGES[change].encode())
    assert count(owner_connection, "corrections") == 3


TAMPERED = {
    "correction changed": 'UPDATE corrections SET before = \'{"grand_total": "1.00"}\' WHERE id = 2',
    "correction removed": "DELETE FROM corrections WHERE id = 2",
    "correction added": "INSERT INTO corrections (id, figure, owner, key, cause) OVERRIDING SYSTEM VALUE "
    "VALUES (99, 'orders.grand_total', 1, '{}', 'heal')",
}


@pytest.mark.parametrize("kind", list(TAMPERED))
def test_the_chain_names_a_correction_that_was_tampered_with(
    kind: str, corrected: list[int], run_command: Callable[..., Any], surgery: Connection
) -> None:
    clean = run_command("audit", "verify-chain", "--json")
    assert json.loads(clean.stdout)["ok"], clean.stdout
    surgery.execute(TAMPERED[kind].encode())
    done = run_command("audit", "verify-chain", "--json")
    assert done.exit_code == 1
    [bad] = json.loads(done.stdout)["findings"]
    assert bad["kind"] == kind
    assert f"Correction {99 if 'added' in kind else 2} " in bad["sentence"]


def test_a_correction_that_goes_together_with_its_event_is_missed_by_the_seal(
    corrected: list[int], run_command: Callable[..., Any], surgery: Connection
) -> None:
    surgery.execute("DELETE FROM corrections")
    surgery.execute("DELETE FROM audit_events WHERE table_name = 'corrections'")
    done = run_command("audit", "verify-chain", "--json")
    assert done.exit_code == 1
    assert {bad["kind"] for bad in json.loads(done.stdout)["findings"]} == {"removed"}


def test_the_trails_screen_shows_that_corrections_were_recorded(
    corrected: list[int], sign_in: Callable[..., FlaskClient]
) -> None:
    answer = sign_in("admin").get("/audit")
    assert answer.status_code == 200
    assert "Corrections" in answer.text
