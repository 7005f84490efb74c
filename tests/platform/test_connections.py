"""The connection pool: a dead connection is replaced before a request uses it, and a live one is pinged rarely."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from backoffice.app import extensions
from backoffice.app.edge import sqlstate_of
from backoffice.app.extensions import db
from backoffice.database import connections
from backoffice.database.embedded import APP
from backoffice.database.snapshots import snapshot

KILL = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{APP}'"


def test_a_connection_that_was_ended_a_moment_ago_is_replaced(
    app: Flask, sign_in: Callable[..., FlaskClient], surgery: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(extensions, "ASKED_AFTER_SECONDS", 3600)  # only pending data may reveal it
    browser = sign_in("finance")
    assert browser.get("/orders").status_code == 200
    for _ in range(3):
        surgery.execute(KILL)
        assert browser.get("/orders").status_code == 200


def test_one_that_has_rested_is_asked_and_one_that_is_in_use_is_not(
    app: Flask, sign_in: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = sign_in("finance")
    browser.get("/profile")
    asked: list[float] = []
    with app.app_context():
        dialect = db.engine.dialect
    ping = dialect.do_ping
    monkeypatch.setattr(
        dialect, "do_ping", lambda found: asked.append(time.monotonic()) or ping(found)
    )
    for _ in range(3):
        assert browser.get("/profile").status_code == 200
    assert not asked
    monkeypatch.setattr(extensions, "ASKED_AFTER_SECONDS", 0)
    assert browser.get("/profile").status_code == 200
    assert asked


def test_the_transaction_of_a_page_is_read_only_and_of_a_save_not(
    app: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    browser, found = sign_in("finance"), []

    def note(_session: object, _of: object, connection: Any) -> None:
        found.append(connection.execute(text("SHOW transaction_read_only")).scalar_one())

    event.listen(db.session, "after_begin", note)
    try:
        browser.get("/orders")
        browser.get("/customers")
        assert found
        assert set(found) == {"on"}
        found.clear()
        browser.post("/preferences", data={"language": "id"})
        with app.app_context():
            db.session.execute(text("SELECT 1"))
        assert found
        assert set(found) == {"off"}
    finally:
        event.remove(db.session, "after_begin", note)


def test_a_page_that_reads_nothing_of_its_own_opens_no_transaction(
    app: Flask, sign_in: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, statements, made = sign_in("account_manager"), [], []
    browser.get("/profile")
    execute = psycopg.Cursor.execute

    def note(cursor: Any, statement: Any, *rest: Any, **options: Any) -> Any:
        statements.append(statement)
        return execute(cursor, statement, *rest, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    monkeypatch.setattr(extensions.RequestSession, "__init__", lambda *_, **__: made.append(1))
    assert browser.get("/profile").status_code == 200
    assert len(statements) == 1
    assert not made  # not even a session was created


def test_what_was_prepared_outlives_a_snapshot_and_its_locks_do_not(app: Flask) -> None:
    backend, prepared = only_connection(app), []
    with app.app_context():
        for _ in range(8):
            with snapshot(db.engine) as connection:
                assert connection.scalar(text("SELECT pg_backend_pid()")) == backend
                prepared.append(connection.scalar(PREPARED, {"like": "%pg_prepared%"}) or 0)
    assert prepared[-1] == 1
    with app.app_context(), db.engine.begin() as after:
        assert after.scalar(text("SHOW transaction_read_only")) == "off"


def test_what_was_prepared_outlives_the_rollback_of_a_page_and_not_a_failure(
    app: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    """psycopg drops its prepared statements at a ROLLBACK; each page would be planned anew."""
    browser = sign_in("finance")
    backend = only_connection(app)
    for _ in range(8):
        assert browser.get("/orders").status_code == 200
    with app.app_context(), db.engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) == backend
        assert connection.scalar(PREPARED, {"like": "%FROM orders%"})
        connection.execute(text("UPDATE users SET language = 'id'"))
        connection.rollback()
        assert connection.scalar(text("SELECT max(language) FROM users")) == ""  # it was undone
        assert connection.scalar(PREPARED, {"like": "%FROM orders%"})
        with pytest.raises(DBAPIError):
            connection.execute(text("SELECT 1 / 0"))
        connection.rollback()
        assert connection.scalar(PREPARED, {"like": "%FROM orders%"}) == 0


def test_a_kept_statement_that_fails_fails_once(app: Flask, owner_connection: Any) -> None:
    """A change of the schema under a running process, at whichever level its statement is tried."""
    owner_connection.execute("CREATE TABLE passing AS SELECT 1 AS n")
    owner_connection.execute(f"GRANT SELECT ON passing TO {APP}")
    question = text("SELECT n FROM passing")
    only_connection(app)
    with app.app_context(), db.engine.connect() as connection:
        connection.begin_nested().rollback()  # psycopg forgets only at the first of the same text
    try:
        for type_, is_nested in (("text", True), ("bigint", False)):
            with app.app_context(), db.engine.connect() as connection:
                for _ in range(8):
                    connection.execute(question)
                    connection.rollback()
                owner_connection.execute(
                    f"ALTER TABLE passing ALTER n TYPE {type_} USING n::{type_}"
                )
                if is_nested:
                    with (
                        pytest.raises(DBAPIError, match="cached plan"),
                        connection.begin_nested(),
                    ):
                        connection.execute(question)
                else:
                    with pytest.raises(DBAPIError, match="cached plan"):
                        connection.execute(question)
                connection.rollback()
                for _ in range(8):
                    assert str(connection.scalar(question)) == "1"
                    connection.rollback()
    finally:
        owner_connection.execute("DROP TABLE passing")


def only_connection(app: Flask) -> int:
    """The process of PostgreSQL that serves the only connection in the pool, whatever earlier tests opened."""
    with app.app_context():
        db.engine.dispose()
    with app.app_context(), db.engine.connect() as first:
        backend = first.scalar(text("SELECT pg_backend_pid()"))
        first.commit()
    assert backend is not None
    return int(backend)


PREPARED = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE :like")


class Interrupting(dict[str, int]):
    """Parameters that raise KeyboardInterrupt when they are read, as a signal would."""

    def __getitem__(self, name: str) -> int:
        raise KeyboardInterrupt


def test_a_row_that_is_asked_of_the_driver_fails_like_any_other_and_keeps_no_connection(
    app: Flask,
) -> None:
    with app.app_context():
        engine = db.engine
        held = engine.pool.checkedout()  # type: ignore[attr-defined]
        for statement, sqlstate in (
            ("SELECT 1 / %(number)s::int", "22012"),
            ("SELECT pg_terminate_backend(pg_backend_pid() + %(number)s::int)", "57P01"),
        ):
            with pytest.raises(DBAPIError) as refused:
                connections.row_outside(engine, statement, {"number": 0})
            assert sqlstate_of(refused.value) == sqlstate
            assert "number" not in str(refused.value).partition("[SQL")[0]
            assert engine.pool.checkedout() == held  # type: ignore[attr-defined]
        with pytest.raises(KeyboardInterrupt):
            connections.row_outside(engine, "SELECT %(number)s::int", Interrupting(number=1))
        assert engine.pool.checkedout() == held  # type: ignore[attr-defined]
        assert connections.row_outside(engine, "SELECT %(number)s::int", {"number": 7}) == (7,)
        with engine.connect() as after:
            driver: Any = after.connection.driver_connection
            assert driver.autocommit is False
