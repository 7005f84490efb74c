"""Flask-Migrate: every migration upgrades and downgrades a book with data, with `backoffice` and with `flask`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from click.testing import Result
from flask import Flask

from backoffice import create_app
from backoffice.app.commands import COMMANDS
from backoffice.app.config import ROOT
from backoffice.app.extensions import db
from backoffice.commands.cli import main
from backoffice.database.embedded import ADMIN, APP, OWNER, Services
from backoffice.database.revisions import MIGRATIONS

Command = Callable[..., Result]
BIN = Path(sys.executable).parent
pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

LEFT_IN_SCHEMA = """
SELECT 'table ' || tablename FROM pg_tables WHERE schemaname = 'public'
UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'sequence ' || sequencename FROM pg_sequences WHERE schemaname = 'public'
UNION ALL SELECT 'type ' || typname FROM pg_type
 WHERE typnamespace = 'public'::regnamespace AND typtype <> 'c' AND typelem = 0
UNION ALL SELECT 'statistics ' || stxname FROM pg_statistic_ext
"""

GENERATED = "SELECT proname FROM pg_proc WHERE proname LIKE 'backoffice_note_%' OR proname LIKE 'backoffice_audit_%'"


@pytest.fixture
def book(services: Services, application: Flask) -> Iterator[Flask]:
    """An app on a separate, empty database."""
    with psycopg.connect(services.postgres.url(ADMIN), autocommit=True) as admin:
        admin.execute("CREATE DATABASE stepping OWNER backoffice_owner TEMPLATE template0")
        try:
            yield create_app(
                {
                    "TESTING": True,
                    "DATABASE_URL": _elsewhere(services, APP),
                    "MIGRATION_DATABASE_URL": _elsewhere(services, OWNER),
                    "REDIS_URL": services.redis.url,
                    "SECRET_KEY": "a secret of this test alone",
                }
            )
        finally:
            admin.execute("DROP DATABASE stepping WITH (FORCE)")


def _elsewhere(services: Services, role: str) -> str:
    return services.postgres.url(role).replace("/backoffice?", "/stepping?")


@pytest.fixture
def command(book: Flask) -> Command:
    """Runs a command on that database, and asserts that it succeeds."""

    def run(*words: str, status: int = 0) -> Result:
        done = book.test_cli_runner().invoke(main, list(words))
        assert done.exit_code == status, f"{words}: {done.output}\n{done.exception!r}"
        with book.app_context():
            db.engine.dispose()
        return done

    return run


def test_every_migration_goes_back_and_forth_on_a_book_with_data(
    book: Flask, command: Command, services: Services
) -> None:
    """First the newest alone, as in a rollback; then all of them."""
    command("db", "upgrade")
    command("demo", "load")
    _keeps_every_order_in_a_rollback(book, command, services)
    _fill(command, services)
    versions = [r.revision for r in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    assert len(versions) >= 19
    with psycopg.connect(_elsewhere(services, OWNER), autocommit=True) as owner:
        assert owner.execute(GENERATED).fetchall()
        for newer, older in zip(versions, [*versions[1:], None], strict=True):
            for direction, version in (
                ("downgrade", older),
                ("upgrade", newer),
                ("downgrade", older),
            ):
                command("db", direction, version or "base")
                assert _version(owner) == version
                assert bool(owner.execute(GENERATED).fetchall()) is (version == versions[0])
        left = {name for (name,) in owner.execute(LEFT_IN_SCHEMA)}
        assert left == {"table alembic_version"}
    again = command("db", "upgrade").output
    assert f"Migrated to {versions[0]}." in again
    assert "The database is up to date." in again
    assert command("db", "check").exit_code == 0
    _is_well(book, command)


def _keeps_every_order_in_a_rollback(book: Flask, command: Command, services: Services) -> None:
    """Assert that a rollback of one version keeps every order, and comes back well."""
    with psycopg.connect(_elsewhere(services, OWNER), autocommit=True) as owner:
        before = owner.execute("SELECT count(*), sum(grand_total) FROM orders").fetchone()
        command("db", "downgrade")
        # no trigger notes or records now: the next upgrade, of either version, computes what was missed
        owner.execute("UPDATE order_lines SET quantity = quantity + 1 WHERE id = 1")
        assert book.test_client().get("/readyz").status_code == 503
        said = command("db", "upgrade").output
        assert "1 left alone: facts beneath differ from the audit trail" in said
        unrecorded = owner.execute("SELECT count(*), sum(grand_total) FROM orders").fetchone()
        assert unrecorded == before, "nobody follows what the audit trail does not know"
        reported = command("audit", "verify-facts", "--json", status=1).stdout
        [finding] = json.loads(reported)["findings"]
        accepted = ("audit", "accept-fact", str(finding["finding"]), "--reason", "Rolled back then")
        command(*accepted)
        command("figures", "heal")
        after = owner.execute("SELECT count(*), sum(grand_total) FROM orders").fetchone()
    assert before is not None
    assert after is not None
    assert after[0] == before[0]
    assert after[1] > before[1]
    _is_well(book, command)


def _fill(command: Command, services: Services) -> None:
    """Insert rows into as many tables as commands can reach."""
    command("tokens", "create", "--name", "stepping", "--scope", "metrics")
    command("targets", "generate", "--year", "1999")
    with psycopg.connect(_elsewhere(services, ADMIN), autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE orders SET grand_total = grand_total + 1 WHERE id = 1")
    command("figures", "verify", status=1)
    command("figures", "heal", "--reason", "stepping")
    command("audit", "verify-chain")
    command("schedule", "run", "balance-verify-sync")


def _is_well(book: Flask, command: Command) -> None:
    book.extensions.pop("readiness", None)  # examined again
    ready = book.test_client().get("/readyz?deep=1")
    assert ready.status_code == 200, ready.get_data(as_text=True)
    command("figures", "verify")


def _version(owner: psycopg.Connection[Any]) -> str | None:
    row = owner.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


EVERY_MONTH = """
INSERT INTO imports (kind, name, files, digest, state, repeat_day, repeat_from)
VALUES ('wallet-charges', 'plans.csv', '[]', 'd', 'repeating', 31, '2026-11-01');
INSERT INTO imports (kind, name, files, digest, state, repeats_id, period)
SELECT 'wallet-charges', 'plans.csv', '[]', 'd', done, id, month FROM imports,
  (VALUES ('applied', date '2026-11-01'), ('applying', date '2026-12-01')) AS months (done, month);
INSERT INTO runs (kind, scope, scope_key, status, finished_at)
VALUES ('imports.lines', '{"due": "2026-11-30"}', 'a', 'done', now()),
  ('imports.lines', '{"due": "2026-12-31"}', 'b', 'queued', NULL),
  ('imports.lines', '{"import": 1}', 'c', 'queued', NULL);
INSERT INTO run_chunks (run_id, number, stage, payload) SELECT id, 0, -1, '{}' FROM runs;
"""
"""A file that is charged every month, two months of it, and the runs of its schedule beside another one."""


def test_files_that_were_charged_every_month_are_ended(
    command: Command, services: Services
) -> None:
    command("db", "upgrade")
    command("db", "downgrade", "0046_fact_marks")
    with psycopg.connect(_elsewhere(services, OWNER), autocommit=True) as owner:
        owner.execute(EVERY_MONTH)
        command("db", "upgrade")
        uploads = owner.execute("SELECT name, state FROM imports ORDER BY id").fetchall()
        runs = owner.execute("SELECT kind, status FROM runs ORDER BY id").fetchall()
        chunks = owner.execute("SELECT run_id FROM run_chunks").fetchall()
    assert uploads == [
        ("plans.csv", "ended"), ("plans.csv (2026-11)", "applied"), ("plans.csv (2026-12)", "applied"),
    ]  # fmt: skip
    assert runs == [
        ("imports.months", "done"), ("imports.months", "cancelled"), ("imports.lines", "queued"),
    ]  # fmt: skip
    assert chunks == [(3,)]


def test_a_version_that_does_not_exist_is_a_sentence_and_trouble(command: Command) -> None:
    done = command("db", "upgrade", "nonsense", status=2)
    assert "nonsense" in done.stderr
    assert not done.stderr.startswith("{")


def test_a_migration_as_sql_writes_nothing(
    book: Flask, command: Command, services: Services
) -> None:
    command("db", "upgrade", "--sql", "0001_core")
    with psycopg.connect(_elsewhere(services, OWNER)) as owner:
        assert owner.execute(LEFT_IN_SCHEMA).fetchall() == []


def flask(services: Services, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `flask --app backoffice …` in a separate process, on the tests' own services."""
    return subprocess.run(
        [BIN / "flask", "--app", "backoffice", *words],
        cwd=ROOT,
        env={**os.environ, "BACKOFFICE_HOME": str(services.folders.home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_flask_itself_migrates_and_knows_our_commands(app: Flask, services: Services) -> None:
    current = flask(services, "db", "current")
    assert (current.returncode, current.stderr) == (0, "")
    assert "(head)" in current.stdout
    upgraded = flask(services, "db", "upgrade")
    assert (upgraded.returncode, upgraded.stdout) == (0, "The database is up to date.\n")
    listed = flask(services, "--help").stdout
    assert all(f"  {name} " in listed for name in COMMANDS)


def test_flask_makes_a_numbered_migration(app: Flask, services: Services, tmp_path: Path) -> None:
    newest = ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""
    name = f"{int(newest[:4]) + 1:04d}_of_this_test_alone"
    copied = tmp_path / "migrations"  # other tests read the newest migration meanwhile
    shutil.copytree(MIGRATIONS, copied)
    done = flask(
        services, "db", "revision", "-m", "Of this test, alone", "--directory", str(copied)
    )
    assert done.returncode == 0, done.stderr
    made = (copied / "versions" / f"{name}.py").read_text()
    assert f'revision = "{name}"' in made
    assert f'down_revision = "{newest}"' in made


def test_the_apps_own_runner_has_the_commands(app: Flask) -> None:
    done = app.test_cli_runner().invoke(args=["figures", "list", "--json"])
    assert done.exit_code == 0, done.output
    assert set(COMMANDS) <= set(app.cli.list_commands(None))  # type: ignore[arg-type]
