"""`/metrics` where something is broken or slow: that is said, the rest is told, and nothing is asked twice."""

import time

import pytest
from sqlalchemy import create_engine, event, select, text
from structlog.testing import capture_logs

from backoffice.app import measures
from backoffice.app.extensions import db
from backoffice.app.measures import SOURCES, Measure
from backoffice.metrics.board import Board, told
from backoffice.metrics.machine import Machine

from .readings import Readings, read_anew, token


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
