"""The responses to health probes."""

import json
import re
from typing import Any

import psycopg
from alembic.script import ScriptDirectory
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from backoffice import create_app
from backoffice.app.config import ROOT
from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.health.checks import DEEP, SERVING


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


def test_what_the_database_refuses_is_not_called_silence(
    client: FlaskClient, owner_connection: psycopg.Connection[Any]
) -> None:
    owner_connection.execute(
        "REVOKE EXECUTE ON FUNCTION backoffice_is_ours() FROM PUBLIC, backoffice_app"
    )
    try:
        answer = client.get("/readyz")
    finally:
        owner_connection.execute(
            "GRANT EXECUTE ON FUNCTION backoffice_is_ours() TO PUBLIC, backoffice_app"
        )
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["checks"] == {
        "database": "ok", "migrations": "ok",
        "process_key": "The database refused: permission denied for function backoffice_is_ours",
    }  # fmt: skip


def test_ready_when_everything_is_as_this_version_wants_it(sign_in: Any) -> None:
    answer = sign_in("admin").get("/readyz?deep=1")
    assert answer.status_code == 200
    assert answer.json is not None
    assert set(answer.json["checks"].values()) == {"ok"}
    assert {"database", "migrations", "figure_triggers", "audit_triggers"} <= set(
        answer.json["checks"]
    )


def test_not_ready_with_triggers_of_another_version(
    app: Flask, client: FlaskClient, sign_in: Any, run_command: Any,
    owner_connection: psycopg.Connection[Any],
) -> None:  # fmt: skip
    app.extensions.pop("readiness", None)
    administrator, finance = sign_in("admin"), sign_in("finance")
    made = run_command("tokens", "create", "--name", "p", "--scope", "metrics", "--json").stdout
    bearer = {"Authorization": f"Bearer {json.loads(made)['token']}"}
    name, fingerprint = owner_connection.execute(
        "SELECT name, fingerprint FROM schema_fingerprints WHERE \"group\" IN ('figures', 'figure guards') LIMIT 1"
    ).fetchone() or ("", "")
    change = "UPDATE schema_fingerprints SET fingerprint = %s WHERE name = %s"
    owner_connection.execute(change, ["another", name])
    try:
        strangers = [one.get("/readyz?deep=1") for one in (client, finance)]
        answer = administrator.get("/readyz?deep=1")
        program = app.test_client().get("/readyz?deep=1", headers=bearer)
        refused = client.get("/readyz?deep=1", headers={"Authorization": "Bearer x"})
        told = _readiness_told(app)
    finally:
        owner_connection.execute(change, [fingerprint, name])
    assert answer.status_code == 503
    assert answer.json is not None
    assert "backoffice db upgrade" in answer.json["checks"]["figure_triggers"]
    assert (program.status_code, program.json) == (503, answer.json)
    assert refused.status_code == 401
    for stranger in strangers:
        assert stranger.status_code == 503
        assert stranger.json is not None
        assert stranger.json["checks"] == {
            check: "failed" if check == "figure_triggers" else "ok" for check in {"database": "", **SERVING, **DEEP}
        }  # fmt: skip
    assert administrator.get("/profile").status_code == 200, "still signed in"
    assert told == {name: name != "figure_triggers" for name in {**SERVING, **DEEP}}
    assert all(_readiness_told(app).values())


def test_strangers_share_an_examination_and_administrators_see_it_as_it_is_now(
    app: Flask, client: FlaskClient, sign_in: Any, owner_connection: psycopg.Connection[Any]
) -> None:
    app.extensions.pop("readiness", None)
    administrator, asked = sign_in("admin"), list[str]()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    assert client.get("/readyz?deep=1").status_code == 200
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert [client.get("/readyz?deep=1").status_code for _ in range(20)] == [200] * 20
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert asked == []
    owner_connection.execute("UPDATE alembic_version SET version_num = '0001_core'")
    try:
        assert client.get("/readyz?deep=1").status_code == 200, "of some seconds ago"
        assert administrator.get("/readyz?deep=1").status_code == 503
        assert client.get("/readyz?deep=1").status_code == 503, "the newest"
    finally:
        newest = ScriptDirectory(str(ROOT / "migrations")).get_current_head()
        owner_connection.execute("UPDATE alembic_version SET version_num = %s", [newest])
        app.extensions.pop("readiness", None)


def test_a_deep_probe_answers_strangers_without_a_database() -> None:
    lost = create_app(
        {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "SECRET_KEY": "long enough"}
    )
    browser = lost.test_client()
    browser.set_cookie(lost.session_interface.get_cookie_name(lost), "x" * 43)
    answer = browser.get("/readyz?deep=1")
    assert (answer.status_code, answer.json) == (
        503, {"status": "not ready", "checks": {"database": "failed"}},
    )  # fmt: skip


def _readiness_told(app: Flask) -> dict[str, bool]:
    """Check of readiness → whether it passed, as the metrics report it."""
    with app.app_context(), db.engine.connect() as connection:
        read = declared().measures["readiness"].read(connection)
        return {reading.labels[0]: reading.value == 1 for reading in read}


def test_readiness_of_this_process_costs_a_few_statements(app: Flask, client: FlaskClient) -> None:
    client.get("/readyz")  # what a process reads once
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert client.get("/readyz").status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert 0 < len(asked) <= 7, asked


def test_examples_ask_a_serving_container_for_nothing_that_a_restart_cannot_mend() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    liveness = re.findall(r"livenessProbe:.*path: (\S+),.*periodSeconds: (\d+)", guide)
    readiness_ = re.findall(r"readinessProbe:.*path: (\S+),.*periodSeconds: (\d+)", guide)
    docker = re.findall(r"HEALTHCHECK --interval=(\d+)s.*\\\n.*127\.0\.0\.1:8001(/\w+)", guide)
    assert [path for path, _ in liveness] == ["/healthz"]
    assert [path for path, _ in readiness_] == ["/readyz"]
    assert [path for _, path in docker] == ["/healthz"]
    seconds = [int(s) for s in (*(s for _, s in liveness + readiness_), *(s for s, _ in docker))]
    assert all(10 <= s <= 30 for s in seconds)
    assert guide.count("HEALTHCHECK --interval") == 1
    monitor = (ROOT / "deploy" / "balance-health" / "Dockerfile.healthcheck").read_text()
    assert "WARNING: never for the container that serves" in monitor
    assert "127.0.0.1" not in monitor


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
