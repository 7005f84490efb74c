"""The scheduler's process: it needs only PostgreSQL, survives its restarts, and ends when it is asked to."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from backoffice.app.config import ROOT, SUPERVISED
from backoffice.database.embedded import APP, Services
from backoffice.database.embedded.processes import wait_until
from backoffice.schedules.catalog import SCHEDULES
from backoffice.schedules.rules import EveryMinutes

NewHome = Callable[[], Path]
pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]


@contextmanager
def scheduler(home: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A scheduler on the services of that home, with its log in `log`."""
    environment = {**os.environ, "BACKOFFICE_HOME": str(home), SUPERVISED: "1"}
    with (
        open(log, "wb") as output,
        subprocess.Popen(
            [sys.executable, str(ROOT / "worker.py"), "--scheduler"],
            cwd=ROOT, env=environment, stdout=output, stderr=output,
        ) as process,
    ):  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def looked_at(url: str) -> datetime | None:
    """When a scheduler last polled; None while none has, or the database does not answer."""
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            row = connection.execute("SELECT max(looked_at) FROM schedulers").fetchone()
    except psycopg.OperationalError:
        return None
    return row[0] if row else None


def ends_at_once(process: subprocess.Popen[bytes], log: Path) -> None:
    """Assert that it stops within a second, by its log; Python's own exit depends on how busy the machine is."""
    reported = datetime.now(UTC)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    last = json.loads(log.read_text().splitlines()[-1])
    assert last["event"] == "scheduler stopped"
    assert datetime.fromisoformat(last["timestamp"]) - reported < timedelta(seconds=1)


def test_it_looks_leaves_word_and_ends_at_once_when_told(
    app: Flask, home: Path, database_url: str, tmp_path: Path
) -> None:
    with scheduler(home, tmp_path / "log") as process:
        assert wait_until(lambda: looked_at(database_url) is not None, 30), (
            tmp_path / "log"
        ).read_text()
        with psycopg.connect(database_url) as connection:
            known = connection.execute("SELECT count(*) FROM schedules").fetchone()
            runs = connection.execute("SELECT count(*) FROM runs").fetchone()
        ends_at_once(process, tmp_path / "log")
    log = (tmp_path / "log").read_text()
    assert known is not None
    assert known[0] > 5
    assert runs == (0,)  # a new book starts no run
    assert '"event": "scheduler started"' in log


def test_it_asks_for_what_is_due_and_goes_on(
    app: Flask, home: Path, database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        long_known = [(schedule.name, datetime(2026, 1, 1, tzinfo=UTC)) for schedule in SCHEDULES]
        cursor.executemany("INSERT INTO schedules (name, known_since) VALUES (%s, %s)", long_known)

    def asked() -> set[str]:
        with psycopg.connect(database_url) as connection:
            rows = connection.execute("SELECT schedule FROM runs").fetchall()
        return {row[0] for row in rows}

    often = {s.name for s in SCHEDULES if isinstance(s.rule, EveryMinutes)}
    with scheduler(home, tmp_path / "log") as process:
        assert wait_until(lambda: asked() >= often, 30), (tmp_path / "log").read_text()
        looked = looked_at(database_url)
        assert wait_until(lambda: looked_at(database_url) != looked, 30)
        ends_at_once(process, tmp_path / "log")
    assert often


def test_it_ends_at_once_though_postgresql_does_not_answer(
    app: Flask, home: Path, database_url: str, tmp_path: Path
) -> None:
    with (
        psycopg.connect(database_url) as blocker,
        scheduler(home, tmp_path / "log") as process,
    ):
        blocker.execute("LOCK TABLE schedules IN ACCESS EXCLUSIVE MODE")
        waits = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND query LIKE '%schedules%'"
        )

        def is_waiting() -> bool:
            with psycopg.connect(database_url) as watcher:
                return watcher.execute(waits).fetchone() == (1,)

        assert wait_until(is_waiting, 30), (tmp_path / "log").read_text()
        ends_at_once(process, tmp_path / "log")


def test_it_goes_on_when_postgresql_was_restarted(new_home: NewHome, tmp_path: Path) -> None:
    home = new_home()
    services = Services(home, durable=False)
    url = services.postgres.url(APP)
    try:
        with services.in_use(services.postgres, tied=True):
            upgrade = [str(Path(sys.executable).with_name("backoffice")), "db", "upgrade"]
            environment = {**os.environ, "BACKOFFICE_HOME": str(home)}
            subprocess.run(upgrade, cwd=ROOT, env=environment, check=True, timeout=60)
            with scheduler(home, tmp_path / "log") as process:
                assert wait_until(lambda: looked_at(url) is not None, 30)
                services.postgres.stop()
                assert wait_until(
                    lambda: "database does not answer" in (tmp_path / "log").read_text(), 30
                )
                services.start(services.postgres, tied=True)
                before = looked_at(url)
                assert wait_until(lambda: (looked_at(url) or before) != before, 30)
                ends_at_once(process, tmp_path / "log")
    finally:
        services.stop()
    log = (tmp_path / "log").read_text()
    assert log.count("database does not answer") == 1
    assert "database answers again" in log
