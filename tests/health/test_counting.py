"""`/metrics`: the counters of all processes of a server, whichever process answers."""

import http.client
import os
import socket
import subprocess
import sys
import time
from fcntl import LOCK_EX, flock
from pathlib import Path
from tempfile import gettempdir

import pytest
from sqlalchemy import bindparam, text, update
from structlog.testing import capture_logs

from backoffice.app.config import ROOT
from backoffice.app.counting import sharing
from backoffice.app.extensions import db
from tests.factories.orders import OrderFactory

from .readings import Readings, read_anew, token

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def unread(app):
    """Nothing has been read yet."""
    app.extensions.pop("metrics", None)


@pytest.fixture
def secret(session):
    """A token for Prometheus."""
    return token(session)


@pytest.fixture
def scrape(app, secret):
    """Ask anew; answers what a reading with these labels is, or all readings of that name."""
    return lambda: read_anew(app, secret)


def test_requests_are_counted_by_view_and_class_of_status(app, scrape):
    before = scrape()
    for _ in range(3):
        app.test_client().get("/healthz")
    app.test_client().get("/no-such-page")
    after = scrape()

    def grown(**labels):
        name = "backoffice_request_duration_seconds_count"
        return sum(after.all(name, **labels)) - sum(before.all(name, **labels))

    assert grown(endpoint="health.alive", status="2xx") == 3
    assert grown(endpoint="unknown", status="4xx") == 1


def test_a_slow_query_within_a_request_is_counted_and_logged_without_its_values(app, scrape):
    count = scrape().one("backoffice_slow_queries_total")
    statement = text("SELECT pg_sleep(0.55), :typed").bindparams(bindparam("typed", "s3cret"))
    with app.test_request_context("/"), capture_logs() as lines:
        db.session.execute(statement)
        db.session.rollback()
    (line,) = [line for line in lines if line["event"] == "slow query"]
    assert line["log_level"] == "warning"
    assert line["milliseconds"] >= 550
    assert "pg_sleep" in line["statement"]
    assert "s3cret" not in str(line)
    assert scrape().one("backoffice_slow_queries_total") == count + 1


def test_a_query_that_was_cancelled_for_its_slowness_is_counted_too(app, scrape):
    count = scrape().one("backoffice_slow_queries_total")
    with app.test_request_context("/"), capture_logs() as lines:
        db.session.execute(text("SET LOCAL statement_timeout = 600"))
        with pytest.raises(Exception, match="statement timeout"):
            db.session.execute(text("SELECT pg_sleep(30)"))
        db.session.rollback()
    assert [line["event"] for line in lines] == ["slow query"]
    assert scrape().one("backoffice_slow_queries_total") == count + 1


def test_recalculations_are_counted_where_they_change_anything(app, scrape, session):
    order = OrderFactory(lines=[("package", "Tea", "2", "10.00")])
    session.commit()
    before = scrape()
    with app.test_request_context("/"):
        for promo in (1, 1, 2):
            db.session.execute(update(type(order)).values(promo=promo))
            db.session.commit()
    after = scrape()
    counted = "backoffice_recalculation_duration_seconds_count"
    rows = "backoffice_recalculated_rows_total"
    assert after.one(counted) == before.one(counted) + 2
    assert after.one(rows) == before.one(rows) + 2
    queries = "backoffice_query_duration_seconds_count"
    assert after.one(queries) >= before.one(queries) + 9  # a drain's own statements are among them


def test_background_work_is_not_counted_as_requests_are(app, scrape, session):
    before = scrape().one("backoffice_slow_queries_total")
    with capture_logs() as lines:
        session.execute(text("SELECT pg_sleep(0.55)"))
    assert [(line["event"], line["log_level"]) for line in lines] == [("slow query", "info")]
    assert scrape().one("backoffice_slow_queries_total") == before


@pytest.fixture
def server(app, services, secret):
    """A real server with two processes on the test's database; answers a function that requests it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PORT": str(port), "WEB_CONCURRENCY": "2"}
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py"]
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE)

    def ask(address, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", address, headers=headers)
        answer = connection.getresponse()
        written = answer.read().decode()
        connection.close()
        assert answer.status == 200, written
        return written

    try:
        _wait_until_it_answers(port, running)
        yield running, ask
    finally:
        running.terminate()
        running.communicate(timeout=30)


def _wait_until_it_answers(port, running):
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert running.poll() is None, running.stderr.read()
            assert time.monotonic() < end, "gunicorn did not start"
            time.sleep(0.1)


def test_a_scrape_of_any_process_tells_what_all_have_counted(server, secret):
    running, ask = server
    for _ in range(40):
        ask("/healthz")
    bearer = {"Authorization": f"Bearer {secret}"}
    counts = [
        Readings(ask("/metrics", **bearer)).one(
            "backoffice_request_duration_seconds_count", endpoint="health.alive", status="2xx"
        )
        for _ in range(10)
    ]
    assert set(counts) == {40}
    folders = _folders_of(running.pid)
    assert len(folders) == 1
    assert folders[0].stat().st_mode & 0o777 == 0o700
    running.terminate()
    running.wait(30)
    assert _folders_of(running.pid) == []


def test_the_folder_of_a_server_that_was_killed_is_removed_by_the_next_and_no_other(
    tmp_path, monkeypatch
):
    """Held by a lock, because another container may share the memory but not the process ids."""
    monkeypatch.setattr(sharing, "SHARED_MEMORY", tmp_path)
    monkeypatch.setenv(sharing.VARIABLE, "")
    killed, held, fresh = (tmp_path / f"{sharing.NAME}{n}-x" for n in (1, 2, 3))
    long_ago = time.time() - 3600
    for folder in (killed, held, fresh):
        folder.mkdir()
        (folder / sharing.HELD).touch()
        if folder != fresh:
            os.utime(folder, (long_ago, long_ago))
    with open(held / sharing.HELD) as lock:
        flock(lock, LOCK_EX)
        sharing.begin()
        own = Path(os.environ[sharing.VARIABLE])
        assert not killed.exists()
        assert held.exists()
        assert fresh.exists()
        sharing.begin()  # the configuration is read again
        assert Path(os.environ[sharing.VARIABLE]) == own
    sharing.end()
    assert not own.exists()


def _folders_of(server):
    places = {sharing.SHARED_MEMORY, Path(gettempdir())}
    return [found for place in places for found in place.glob(f"{sharing.NAME}{server}-*")]
