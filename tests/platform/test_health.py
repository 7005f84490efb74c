"""The responses to health probes."""

from typing import Any

import psycopg
from flask import Flask
from flask.testing import FlaskClient

from backoffice import create_app


def test_alive_needs_no_database(app: Flask) -> None:
    lost = create_app(
        {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "SECRET_KEY": "long enough"}
    )
    assert lost.test_client().get("/healthz").json == {"status": "ok"}
    answer = lost.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json == {
        "status": "not ready",
        "checks": {"database": "The database does not answer."},
    }


def test_ready_when_everything_is_as_this_version_wants_it(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json is not None
    assert set(answer.json["checks"].values()) == {"ok"}
    assert {"database", "migrations", "figure_triggers", "audit_triggers"} <= set(
        answer.json["checks"]
    )


def test_not_ready_with_triggers_of_another_version(
    client: FlaskClient, owner_connection: psycopg.Connection[Any]
) -> None:
    name, fingerprint = owner_connection.execute(
        "SELECT name, fingerprint FROM schema_fingerprints WHERE \"group\" IN ('figures', 'figure guards') LIMIT 1"
    ).fetchone() or ("", "")
    change = "UPDATE schema_fingerprints SET fingerprint = %s WHERE name = %s"
    owner_connection.execute(change, ["another", name])
    try:
        answer = client.get("/readyz")
    finally:
        owner_connection.execute(change, [fingerprint, name])
    assert answer.status_code == 503
    assert answer.json is not None
    assert "backoffice db upgrade" in answer.json["checks"]["figure_triggers"]


def test_not_ready_before_the_newest_migration(
    client: FlaskClient, owner_connection: psycopg.Connection[Any]
) -> None:
    (newest,) = owner_connection.execute("SELECT version_num FROM alembic_version").fetchone() or (
        "",
    )
    owner_connection.execute("UPDATE alembic_version SET version_num = '0001_core'")
    try:
        answer = client.get("/readyz")
    finally:
        owner_connection.execute("UPDATE alembic_version SET version_num = %s", [newest])
    assert answer.status_code == 503
    assert answer.json is not None
    assert newest in answer.json["checks"]["migrations"]
