"""`/metrics` with a broken or slow source: it reports that and all other metrics, and asks no source twice."""

import time

import pytest
from sqlalchemy import create_engine, event, select, text
from structlog.testing import capture_logs

from backoffice.app.domain import Declared, DeclaredTwice, Domain
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.app.measures import Measure, Source
from backoffice.metrics.board import Board, reported
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
        read = Readings(
            reported(
                Board(db.engine, Machine("redis://127.0.0.1:1/0"), app.declared.measures)
            ).decode()
        )
    assert time.monotonic() - began < 2
    assert read.one("backoffice_redis_up") == 0
    assert read.all("backoffice_workers") == []
    assert read.one("backoffice_database_up") == 1


def test_a_database_that_is_away_is_a_gauge_and_no_error(app, services):
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    read = Readings(
        reported(Board(engine, Machine(services.redis.url), app.declared.measures)).decode()
    )
    assert read.one("backoffice_database_up") == 0
    assert set(read.all("backoffice_metrics_source_up")) == {0}
    assert read.one("backoffice_redis_up") == 1


FINE = Measure("backoffice_test_fine", "Fine.")


def fails(connection):
    yield FINE.is_now(1)
    raise KeyError("a mistake")


WRONG = Source("wrong", (), lambda connection: connection.execute(text("SELECT nonsense")))
MISTAKEN = Source("mistaken", (FINE,), fails)
SLOW = Source("slow", (), lambda connection: connection.execute(select(text("pg_sleep(30)"))))
FAILING = (Domain("first", measures=(WRONG, MISTAKEN)), *DOMAINS, Domain("last", measures=(SLOW,)))


@pytest.mark.parametrize("domains", [FAILING], ids=["failing"])
def test_a_source_that_fails_or_takes_too_long_harms_no_other(domains, app, scrape):
    failing = {"wrong", "mistaken", "slow"}
    with capture_logs() as lines:
        read = scrape()
    reported_why = {line["source"] for line in lines if line["event"] == "metrics not read"}
    assert reported_why == failing
    assert read.one("backoffice_metrics_read_seconds") < 4
    for name in app.declared.measures:
        assert read.one("backoffice_metrics_source_up", source=name) == (name not in failing)
    assert read.all("backoffice_test_fine") == []


VALID = Measure("backoffice_test_valid", "Whether it is valid.", ("book",))
SHEET = Source("sheet", (VALID,), lambda _connection: [VALID.is_now(1, 'main "1"\n')])
TELLING = (*DOMAINS, Domain("sheet", measures=(SHEET,)))


@pytest.mark.parametrize("domains", [TELLING], ids=["sheet"])
def test_domains_declare_what_they_can_tell(domains, scrape):
    assert scrape().one("backoffice_test_valid", book='main "1"\n') == 1
    another = Domain("another", measures=(Source("another", (VALID,), lambda _connection: []),))
    with pytest.raises(DeclaredTwice, match="backoffice_test_valid"):
        Declared((*TELLING, another)).measures  # noqa: B018 (asked for its refusal)


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
