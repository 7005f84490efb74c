"""A small company of 0.16, with data of every kind that was removed since, is upgraded and keeps every total."""

import gzip
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result
from flask import Flask

from backoffice import create_app
from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.commands.cli import main
from backoffice.database.embedded import ADMIN, APP, OWNER, Services
from backoffice.figures import registry
from tests.orders.pages import text_of
from tests.signing_in import cookie_for, someone

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

DUMP = Path(__file__).parents[1] / "data" / "upgrade" / "company-0.16.sql.gz"
SECRET = "the-fixed-secret-of-a-company-of-0.16"
NAME = "upgraded"

Command = Callable[..., Result]
Rows = dict[str, list[Any]]


@pytest.fixture
def admin(services: Services, application: Flask) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to the company of 0.16, restored into a database of its own."""
    with psycopg.connect(services.postgres.url(ADMIN), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {NAME} OWNER backoffice_owner TEMPLATE template0".encode())
        try:
            _restore(services)
            with psycopg.connect(_url(services, ADMIN), autocommit=True) as admin:
                yield admin
        finally:
            server.execute(f"DROP DATABASE {NAME} WITH (FORCE)".encode())


@pytest.fixture
def company(
    admin: psycopg.Connection[Any], services: Services, monkeypatch: pytest.MonkeyPatch
) -> Flask:
    """The app on that database, without the limit on files per minute."""
    monkeypatch.setattr(limiter, "enabled", False)
    return create_app(
        {
            "TESTING": True, "WTF_CSRF_ENABLED": False, "REDIS_URL": services.redis.url,
            "DATABASE_URL": _url(services, APP), "MIGRATION_DATABASE_URL": _url(services, OWNER),
            "SECRET_KEY": SECRET, "AUDIT_KEY": SECRET,
        }
    )  # fmt: skip


@pytest.fixture
def command(company: Flask) -> Iterator[Command]:
    """Runs a command on that company, and asserts its exit status."""

    def run(*words: str, status: int = 0) -> Result:
        done = company.test_cli_runner().invoke(main, list(words))
        assert done.exit_code == status, f"{words}: {done.output}\n{done.exception!r}"
        return done

    yield run
    with company.app_context():
        db.engine.dispose()


def _url(services: Services, role: str) -> str:
    return services.postgres.url(role).replace("/backoffice?", f"/{NAME}?")


def _restore(services: Services) -> None:
    """Restore the dump as the role that owns every table."""
    lines = gzip.decompress(DUMP.read_bytes()).decode().splitlines(keepends=True)
    script = "".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))
    with psycopg.connect(_url(services, OWNER), autocommit=True) as owner:
        owner.execute(script.encode())


def _totals(admin: psycopg.Connection[Any]) -> Rows:
    """The stored values of every figure, row by row."""
    found: Rows = {}
    for figure in registry.figures:
        names = ", ".join(column.key for column in (*figure.key, *figure.columns))
        statement = f"SELECT {names} FROM {figure.table.name} ORDER BY {names}"
        found[figure.name] = admin.execute(statement.encode()).fetchall()
    return found


def _files(admin: psycopg.Connection[Any], statement: str) -> dict[int, str]:
    """The digest of each kept report's compressed file."""
    rows = admin.execute(statement.encode()).fetchall()
    return {key: hashlib.sha256(content).hexdigest() for key, content in rows}


# A superuser entered the three imports of the dump, so `audit verify-facts` reports them and nothing else.

WRONG_BEFORE = (
    "INSERT INTO figure_notes (definition, bundle, owner, was_wrong)"
    " SELECT definition, bundle, owner, true FROM figure_notes LIMIT 1"
)
"""A note of 0.16 that only recorded that a total was wrong before a write."""

DATES = "SELECT id FROM drift_findings WHERE kind = 'impossible' AND healed_at IS NULL"
"""The open findings of dates outside the calendar, a kind that only 0.16 recorded."""

IN_FLIGHT = """
WITH rebuild AS (
    INSERT INTO runs (kind, scope, scope_key, status, started_at)
    VALUES ('figures.rebuild', '{}', 'in flight', 'running', now()) RETURNING id
), verified AS (
    INSERT INTO runs (kind, scope, scope_key, status, started_at, finished_at)
    VALUES ('figures.verify', '{}', 'failed', 'finished with failures', now(), now()) RETURNING id
), chunks AS (
    INSERT INTO run_chunks (run_id, number, status, payload)
    SELECT id, 1, 'open', '{"bundle": "meters", "beneath": ["meters.documents"], "low": 1, "high": 9}'::jsonb
    FROM rebuild
    UNION ALL SELECT id, 1, 'failed', '{"bundle": "accounts", "low": 1, "high": 9}' FROM verified
)
INSERT INTO run_items (run_id, subject, owner, key, outcome, error)
SELECT id, 'accounts', 1, '{}', 'failed', 'It was locked.' FROM verified
"""
"""A rebuild under way, and a failed verification, planned by the version before: their chunks name what is gone."""

LEFT = """
SELECT r.status, (SELECT count(*) FROM run_chunks WHERE run_id = r.id),
       (SELECT min(subject) FROM run_items WHERE run_id = r.id)
FROM runs r WHERE scope_key IN ('in flight', 'failed') ORDER BY scope_key DESC
"""

PARTS = (
    "SELECT reconciliation_id, string_agg(content, ''::bytea ORDER BY number)"
    " FROM reconciliation_parts GROUP BY 1"
)


def test_a_company_of_0_16_keeps_its_totals_its_proofs_and_its_pages(
    admin: psycopg.Connection[Any], company: Flask, command: Command
) -> None:
    totals, kept = _totals(admin), _files(admin, PARTS)
    assert sum(map(len, totals.values())) > 20
    assert len(kept) == 30
    assert admin.execute(WRONG_BEFORE).rowcount == 1
    [(of_a_date,)] = admin.execute(DATES).fetchall()
    admin.execute(IN_FLIGHT)
    command("db", "upgrade")
    assert admin.execute(DATES).fetchall() == []
    cancelled, failed = admin.execute(LEFT).fetchall()
    assert cancelled == ("cancelled", 0, None)
    assert failed == ("finished with failures", 0, "accounts.sums")
    command("figures", "heal", "--noted")
    assert admin.execute("SELECT count(*) FROM figure_notes").fetchone() == (0,)
    assert _totals(admin) == totals
    assert _files(admin, "SELECT id, content FROM reconciliations") == kept
    for words in (("figures", "verify"), ("ledger", "health"), ("audit", "verify-chain")):
        command(*words)
    facts = command("audit", "verify-facts", status=1).output
    assert re.findall(r"Import (\S+)", facts) == ["fees.csv", "fees.csv", "customers.csv"]
    assert "3 rows differ from the audit trail." in facts
    assert _totals(admin) == totals
    _every_old_page_opens(admin, company, kept, of_a_date)


def _every_old_page_opens(
    admin: psycopg.Connection[Any], company: Flask, kept: dict[int, str], of_a_date: int
) -> None:
    browser = company.test_client()
    browser.set_cookie(*cookie_for(company, someone(company, "admin", email="later@example.com")))

    def page(address: str) -> str:
        answer = browser.get(address, follow_redirects=True)
        assert answer.status_code == 200, f"{address}: {answer.status_code}"
        return text_of(answer.text)

    gone = 0
    for run, status in admin.execute("SELECT id, status FROM runs").fetchall():
        words = page(f"/runs/{run}")
        assert f"{run}" in words, status
        gone += "This kind of run no longer exists" in words
    assert gone == 1, "the run of the file of every month"
    for (key,) in admin.execute("SELECT id FROM drift_findings").fetchall():
        page(f"/health/drift/{key}")
    closed = page(f"/health/drift/{of_a_date}")
    assert "Right again" in closed
    assert "Closed, since Backoffice no longer looks for this" in closed
    for name, key in admin.execute("SELECT name, id FROM imports").fetchall():
        assert name in page(f"/imports/{key}")
    assert "Undone" in page("/customers/S-2/history")
    assert "D-1" in page("/customers/S-1")
    for key, digest in kept.items():
        page(f"/reconciliation/kept/{key}")
        file = browser.get(f"/reconciliation/kept/{key}/file.csv.gz").data
        assert hashlib.sha256(file).hexdigest() == digest
    for address in ("/schedules", "/imports", "/runs", "/billing/migration"):
        page(address)
