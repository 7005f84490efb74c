"""Triggers and rules of other programs on our tables, and constraints that are gone, are seen."""

from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from backoffice.app.extensions import db
from backoffice.app.late_checks import late_checks
from backoffice.base import Base
from backoffice.commands.upgrade import upgrade
from backoffice.database import strangers
from backoffice.drift.verification import guards

FUNCTION = "suppress_redundant_updates_trigger"
HANDS = {
    "orders.theirs": (
        f"CREATE TRIGGER theirs BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()",
        "DROP TRIGGER theirs ON orders",
        strangers.FOREIGN_TRIGGER,
    ),
    "products.swallow": (
        "CREATE RULE swallow AS ON UPDATE TO products DO INSTEAD NOTHING",
        "DROP RULE swallow ON products",
        strangers.FOREIGN_RULE,
    ),
    "customers": (
        "ALTER TABLE customers ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE customers DISABLE ROW LEVEL SECURITY",
        strangers.ROW_SECURITY,
    ),
    "ck_wallets_status": (
        "ALTER TABLE wallets DROP CONSTRAINT ck_wallets_ck_wallets_status",
        "ALTER TABLE wallets ADD CONSTRAINT ck_wallets_status CHECK (status <> '')",
        strangers.GONE,
    ),
    "orders.number NOT NULL": (
        "ALTER TABLE orders ALTER COLUMN number DROP NOT NULL",
        "ALTER TABLE orders ALTER COLUMN number SET NOT NULL",
        strangers.GONE,
    ),
    "ix_runs_live": (
        "DROP INDEX ix_runs_live",
        "CREATE UNIQUE INDEX ix_runs_live ON runs (kind, scope_key) WHERE finished_at IS NULL",
        strangers.GONE,
    ),
    "ck_orders_text_lengths": (
        "ALTER TABLE orders DROP CONSTRAINT ck_orders_text_lengths",
        "",
        strangers.GONE,
    ),
}  # fmt: skip


def test_a_fresh_database_is_as_declared(app: Flask, session: Any) -> None:
    assert strangers.found(session.connection(), Base.metadata, late_checks()) == {}


@pytest.fixture
def client(sign_in: Any) -> FlaskClient:
    """The browser of an administrator, who sees what a check found, as it is now."""
    browser: FlaskClient = sign_in("admin")
    return browser


@pytest.mark.parametrize("name", HANDS)
def test_what_other_hands_did_is_seen_everywhere(
    app: Flask,
    session: Any,
    owner_connection: psycopg.Connection[Any],
    client: FlaskClient,
    name: str,
) -> None:
    done, undone, problem = HANDS[name]
    owner_connection.execute(done.encode())
    try:
        found = strangers.found(session.connection(), Base.metadata, late_checks())
        assert {one: what for one, (what, _remedy) in found.items()} == {name: problem}
        assert guards.broken(session.connection()) == {name: problem}
        session.rollback()
        answer = client.get("/readyz?deep=1")
        assert answer.status_code == 503
        assert f"{name} {problem}" in answer.text
        assert client.get("/readyz").status_code == 200
        db.engine.dispose()
        said = upgrade(app)
        if undone:
            [line] = [line for line in said if line.startswith(name)]
            assert problem in line
            remedy = line.partition("in the database: ")[2]
            owner_connection.execute(remedy.encode())
            undone = ""
    finally:
        if undone:
            owner_connection.execute(undone.encode())
    assert strangers.found(session.connection(), Base.metadata, late_checks()) == {}
