"""`/metrics`: what Prometheus is told is what there is, whatever is broken and however large the tables are."""

import http.client
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from fcntl import LOCK_EX, flock
from pathlib import Path
from tempfile import gettempdir

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rq import Worker
from sqlalchemy import bindparam, create_engine, event, select, text, update
from structlog.testing import capture_logs

from backoffice import figures, measures
from backoffice.audit.models import AuditCheck
from backoffice.config import ROOT
from backoffice.counting import sharing
from backoffice.drift.models import DriftFinding, FigureCheck
from backoffice.extensions import db
from backoffice.figures.models import Correction
from backoffice.measures import SOURCES, Measure
from backoffice.metrics import machine
from backoffice.metrics.board import Board, told
from backoffice.metrics.machine import Machine
from backoffice.people import tokens
from backoffice.runs import actions
from backoffice.runs.models import Run, RunChunk
from backoffice.runs.worker import QUEUE, queue
from backoffice.schedules.models import KnownSchedule, Scheduler
from tests.factories.orders import OrderFactory

GRAND_TOTAL = "orders.grand_total"


@pytest.fixture(autouse=True)
def unread(app):
    """Nothing has been read yet."""
    app.extensions.pop("metrics", None)


@pytest.fixture
def secret(session):
    """A token for Prometheus."""
    issued = tokens.create(session, name="prometheus", scope="metrics", expires_at=None)
    session.commit()
    return issued.secret


@pytest.fixture
def scrape(app, secret):
    """Ask anew; answers what a reading with these labels is, or all readings of that name."""

    def scrape():
        if "metrics" in app.extensions:
            app.extensions["metrics"].forget()
        answer = app.test_client().get("/metrics", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 200, answer.text
        return Readings(answer.text)

    return scrape


class Readings:
    """The text of `/metrics`, as Prometheus reads it."""

    def __init__(self, written):
        self.families = list(text_string_to_metric_families(written))

    def all(self, name, **labels):
        samples = (s for family in self.families for s in family.samples)
        return [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]

    def one(self, name, **labels):
        (value,) = self.all(name, **labels)
        return value

    def names(self):
        """Every name that an expression may use."""
        return {name for family in self.families for name in _names_of(family)}

    def labels(self):
        return {label for family in self.families for s in family.samples for label in s.labels}


def _names_of(family):
    if family.type == "histogram":
        return {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
    return {f"{family.name}_total"} if family.type == "counter" else {family.name}


# The books


@pytest.mark.leaves_drift
def test_open_findings_are_counted_by_figure_and_kind_with_their_amount(scrape, session):
    for number, (kind, amount, healed) in enumerate(
        [("different", "-10.50", None), ("different", "4.00", None), ("missing", "100.00", None),
         ("different", "999.00", datetime.now(UTC))]
    ):  # fmt: skip
        session.add(
            DriftFinding(
                figure=GRAND_TOTAL, owner=number, key={"id": number}, kind=kind, amount=amount,
                roots=[], is_root=True, cause="unnoticed", healed_at=healed,
            )
        )  # fmt: skip
    session.add(FigureCheck(figure=GRAND_TOTAL, owners=5, rows=1000, drifted=3, milliseconds=1500))
    session.commit()
    read = scrape()
    assert read.one("backoffice_drift_findings", figure=GRAND_TOTAL, kind="different") == 2
    assert read.one("backoffice_drift_findings", figure=GRAND_TOTAL, kind="missing") == 1
    assert read.one("backoffice_drift_findings", figure=GRAND_TOTAL, kind="surplus") == 0
    assert read.one("backoffice_drift_amount", figure=GRAND_TOTAL, currency="IDR") == 114.5
    assert read.one("backoffice_figure_valid_ratio", figure=GRAND_TOTAL) == 0.997
    assert read.one("backoffice_figure_verification_seconds", figure=GRAND_TOTAL) == 1.5


def test_every_figure_is_told_of_also_where_nothing_is_wrong_and_nothing_was_verified(scrape):
    read = scrape()
    names = {figure.name for figure in figures.registry.figures}
    for name in names:
        assert sum(read.all("backoffice_drift_findings", figure=name)) == 0
        assert read.one("backoffice_figure_verified_age_seconds", figure=name) == float("inf")
        assert read.one("backoffice_figure_coverage_ratio", figure=name) == 0


def test_the_age_of_a_verification_and_its_coverage_are_told(scrape, session):
    OrderFactory.create_batch(4)
    at = datetime.now(UTC) - timedelta(hours=27)
    session.add(FigureCheck(figure=GRAND_TOTAL, owners=3, rows=3, drifted=0, verified_at=at))
    session.commit()
    session.execute(text("SELECT pg_stat_force_next_flush()"))
    session.commit()
    read = scrape()
    assert read.one("backoffice_figure_verified_age_seconds", figure=GRAND_TOTAL) > 26 * 3600
    told_at = read.one("backoffice_figure_verified_timestamp_seconds", figure=GRAND_TOTAL)
    assert told_at == pytest.approx(at.timestamp(), abs=1)
    assert 0 < read.one("backoffice_figure_coverage_ratio", figure=GRAND_TOTAL) <= 1


def test_what_outside_programs_leave_noted_is_told_until_it_is_drained(
    scrape, session, app_connection
):
    OrderFactory(lines=[("package", "Tea", "2", "10.00")])
    session.commit()
    assert scrape().one("backoffice_notes_undrained") == 0
    app_connection.execute("UPDATE order_lines SET quantity = 3")
    read = scrape()
    assert read.one("backoffice_notes_undrained") >= 1
    assert read.one("backoffice_notes_oldest_age_seconds") > 0
    figures.heal_noted(db.engine)
    read = scrape()
    assert read.one("backoffice_notes_undrained") == 0
    assert read.one("backoffice_notes_oldest_age_seconds") == 0
    assert read.one("backoffice_corrections_last_day", figure=GRAND_TOTAL, cause="bypass") == 1


def test_corrections_of_days_past_are_not_those_of_the_last_day(scrape, session, owner_connection):
    for hours in (1, 23, 25):
        at = datetime.now(UTC) - timedelta(hours=hours)
        session.add(Correction(figure=GRAND_TOTAL, owner=1, key={}, cause="heal", at=at))
    session.commit()
    assert scrape().one("backoffice_corrections_last_day", figure=GRAND_TOTAL, cause="heal") == 2


# Background work


def test_a_run_waits_in_the_outbox_then_in_the_queue(scrape, session):
    quiet = scrape()
    assert quiet.one("backoffice_run_outbox") == 0
    assert quiet.one("backoffice_run_outbox_age_seconds") == 0
    run = actions.request(session, "figures.verify", {})
    run.created_at = datetime.now(UTC) - timedelta(seconds=90)
    session.commit()
    waiting = scrape()
    assert waiting.one("backoffice_run_outbox") == 1
    assert waiting.one("backoffice_run_outbox_age_seconds") >= 90
    assert waiting.one("backoffice_runs_live", status="queued") == 1
    run.delivered_at = datetime.now(UTC)
    session.commit()
    delivered = scrape()
    assert delivered.one("backoffice_run_outbox_age_seconds") == 0
    assert delivered.one("backoffice_run_queue_age_seconds") >= 90


def test_finished_runs_are_told_by_kind_with_their_durations_and_failures(scrape, session):
    now = datetime.now(UTC)
    for status, seconds, hours in (
        ("done", 10, 3), ("done", 20, 4), ("failed", 5, 0), ("finished with failures", 1, 5),
        ("done", 4000, 30),
    ):  # fmt: skip
        finished_at = now - timedelta(hours=hours)
        session.add(
            Run(
                kind="figures.heal", scope={}, scope_key=f"{status} {hours}", status=status,
                created_at=finished_at - timedelta(seconds=seconds),
                started_at=finished_at - timedelta(seconds=seconds), finished_at=finished_at,
            )
        )  # fmt: skip
    session.commit()
    read = scrape()
    assert read.one("backoffice_runs_last_day", kind="figures.heal", status="done") == 2
    assert read.one("backoffice_runs_last_day", kind="figures.heal", status="failed") == 1
    assert read.one("backoffice_run_seconds_last_day", kind="figures.heal") == 36
    assert read.one("backoffice_run_longest_seconds_last_day", kind="figures.heal") == 20
    assert read.one("backoffice_runs_failed_last_hour", kind="figures.heal") == 1


def test_a_run_under_way_that_no_worker_holds_is_told(scrape, session):
    now = datetime.now(UTC)
    begun = now - timedelta(minutes=20)
    run = Run(kind="figures.heal", scope={}, scope_key="x", status="running", updated_at=begun)
    session.add(run)
    session.flush()
    assert scrape().one("backoffice_run_silent_seconds") == 0
    session.commit()
    assert scrape().one("backoffice_run_silent_seconds") >= 1200
    for number, lease in ((1, timedelta(minutes=-7)), (2, timedelta(minutes=-5))):
        session.add(RunChunk(run_id=run.id, number=number, payload={}, lease_until=now + lease))
    session.commit()
    assert 300 <= scrape().one("backoffice_run_silent_seconds") < 400
    session.execute(update(RunChunk).values(lease_until=now + timedelta(seconds=300)))
    session.commit()
    assert scrape().one("backoffice_run_silent_seconds") == 0


def test_a_schedule_that_was_not_started_is_overdue_until_it_is(scrape, session):
    assert scrape().one("backoffice_scheduler_age_seconds") == float("inf")
    session.add(
        KnownSchedule(name="balance-rebuild-monthly", known_since=datetime(2020, 1, 1, tzinfo=UTC))
    )
    session.add(Scheduler(name="here:1"))
    session.commit()
    read = scrape()
    overdue = read.one("backoffice_schedule_overdue_seconds", schedule="balance-rebuild-monthly")
    assert 60 < overdue < 32 * 86_400
    assert read.one("backoffice_schedule_overdue_seconds", schedule="balance-verify-sync") == 0
    assert read.one("backoffice_scheduler_age_seconds") < 60
    due_at = datetime.now(UTC) - timedelta(seconds=overdue)
    session.add(
        Run(
            kind="figures.rebuild", scope={}, scope_key="x", schedule="balance-rebuild-monthly",
            due_at=due_at.replace(second=0, microsecond=0) + timedelta(minutes=due_at.second >= 30),
        )
    )  # fmt: skip
    session.commit()
    read = scrape()
    assert read.one("backoffice_schedule_overdue_seconds", schedule="balance-rebuild-monthly") == 0


def test_an_unsealed_trail_and_the_last_look_at_its_chain_are_told(scrape, session):
    assert scrape().one("backoffice_audit_checked_age_seconds", kind="verified") == float("inf")
    session.add(AuditCheck(kind="verified", seal=1, events=10, bad=2))
    OrderFactory()
    session.commit()
    read = scrape()
    assert read.one("backoffice_audit_bad_rows") == 2
    assert read.one("backoffice_audit_checked_age_seconds", kind="verified") < 60
    assert read.one("backoffice_audit_unsealed_age_seconds") > 0


# The database, and beside it


def test_the_database_is_told_of(scrape):
    read = scrape()
    assert read.one("backoffice_database_up") == 1
    assert 0 <= read.one("backoffice_database_index_hit_ratio") <= 1
    assert sum(read.all("backoffice_database_connections")) >= 1
    assert read.one("backoffice_database_connections_max") >= 10
    assert read.one("backoffice_database_bytes") > 1_000_000
    assert read.one("backoffice_table_bytes", table="orders", part="indexes") > 0
    assert read.all("backoffice_table_rows", table="order_lines", state="live")


def test_redis_its_queue_and_its_workers_are_told_of(scrape, services):
    with Redis.from_url(services.redis.url) as redis:
        assert queue(redis).key == machine.QUEUE_KEY
        assert f"rq:workers:{QUEUE}" == machine.WORKERS_KEY
        redis.rpush(machine.QUEUE_KEY, "a", "b")
        worker = Worker([queue(redis)], connection=redis)
        worker.register_birth()
        try:
            read = scrape()
        finally:
            worker.register_death()
        assert read.one("backoffice_redis_up") == 1
        assert read.one("backoffice_queue_jobs") == 2
        assert read.one("backoffice_workers") == 1
        redis.sadd(machine.WORKERS_KEY, "rq:worker:killed")
        assert scrape().one("backoffice_workers") == 0


# What is broken is said, and the rest is told


def test_a_redis_that_is_away_costs_no_time_and_no_metric_of_the_others(app):
    began = time.monotonic()
    with app.app_context():
        read = Readings(told(Board(db.engine, Machine("redis://127.0.0.1:1/0"))).decode())
    assert time.monotonic() - began < 2
    assert read.one("backoffice_redis_up") == 0
    assert read.all("backoffice_workers") == []
    assert read.one("backoffice_database_up") == 1


def test_a_database_that_is_away_is_a_gauge_and_no_error(services):
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    read = Readings(told(Board(engine, Machine(services.redis.url))).decode())
    assert read.one("backoffice_database_up") == 0
    assert set(read.all("backoffice_metrics_source_up")) == {0}
    assert read.one("backoffice_redis_up") == 1


@pytest.fixture
def another_source():
    """Register a source for this test."""
    before = dict(SOURCES)

    def another_source(name, read, *told_by_it):
        measures.register(name, read, *told_by_it)

    yield another_source
    SOURCES.clear()
    SOURCES.update(before)


def test_a_source_that_fails_or_takes_too_long_harms_no_other(scrape, another_source):
    fine = Measure("backoffice_test_fine", "Fine.")

    def fails(connection):
        yield fine.is_now(1)
        raise KeyError("a mistake")

    another_source("slow", lambda connection: connection.execute(select(text("pg_sleep(30)"))))
    another_source("wrong", lambda connection: connection.execute(text("SELECT nonsense")))
    another_source("mistaken", fails, fine)
    first = dict(SOURCES)
    SOURCES.clear()
    SOURCES.update({name: first[name] for name in ("wrong", "mistaken", *first)})
    failing = {"wrong", "mistaken", "slow"}
    with capture_logs() as lines:
        read = scrape()
    told_why = {line["source"] for line in lines if line["event"] == "metrics not read"}
    assert told_why == failing
    assert read.one("backoffice_metrics_read_seconds") < 4
    for name in SOURCES:
        assert read.one("backoffice_metrics_source_up", source=name) == (name not in failing)
    assert read.all("backoffice_test_fine") == []


def test_domains_register_what_they_can_tell(scrape, another_source):
    valid = Measure("backoffice_test_valid", "Whether it is valid.", ("book",))
    another_source("sheet", lambda _connection: [valid.is_now(1, 'main "1"\n')], valid)
    assert scrape().one("backoffice_test_valid", book='main "1"\n') == 1
    with pytest.raises(ValueError, match="backoffice_test_valid"):
        another_source("another", lambda _connection: [], valid)


def test_the_database_is_read_once_in_ten_seconds_whoever_asks(app, secret):
    levels = []

    def note(connection):
        levels.append(connection.get_execution_options().get("isolation_level"))

    with app.app_context():
        event.listen(db.engine, "begin", note)
    try:
        for _ in range(5):
            headers = {"Authorization": f"Bearer {secret}"}
            app.test_client().get("/metrics", headers=headers)
    finally:
        with app.app_context():
            event.remove(db.engine, "begin", note)
    assert levels.count("REPEATABLE READ") == 1


# What the server counts while it works


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
    """A real server of two processes, on our database; answers a way to ask it."""
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
    """Held by a lock, for another container may share our memory and not our process numbers."""
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
