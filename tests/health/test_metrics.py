"""`/metrics`: the metrics of the books, background work and the database are right."""

from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from rq import Worker
from sqlalchemy import text, update

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.audit.models import AuditCheck
from backoffice.database.proof import prove
from backoffice.drift.models import DriftFinding, FigureCheck
from backoffice.figures.models import Correction
from backoffice.metrics import machine
from backoffice.runs import actions
from backoffice.runs.models import Run, RunChunk
from backoffice.runs.worker import QUEUE, queue
from backoffice.schedules.models import KnownSchedule, Scheduler
from tests.factories.orders import OrderFactory

from .readings import read_anew, token

GRAND_TOTAL = "orders.grand_total"


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
                gross=amount.removeprefix("-"), roots=[], is_root=True, cause="unnoticed", healed_at=healed,
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
    reported_at = read.one("backoffice_figure_verified_timestamp_seconds", figure=GRAND_TOTAL)
    assert reported_at == pytest.approx(at.timestamp(), abs=1)
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
    prove(session.connection())
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
