"""Every alert of the runbook fires over a real scrape when what it calls for is so, and not over a healthy one.

Every documented metric has a sample after a real verification, and every reported metric is documented.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import yaml
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rq import Worker
from sqlalchemy import text

from backoffice import figures
from backoffice.app.config import ROOT
from backoffice.app.extensions import db
from backoffice.audit.models import AuditCheck
from backoffice.people import tokens
from backoffice.runs import actions
from backoffice.runs.models import FAILED, Run
from backoffice.runs.worker import queue
from backoffice.schedules.models import KnownSchedule, Scheduler
from backoffice.wallets.actions import adjust
from tests.drift.books import run_of
from tests.drift.forging import tell_of_the_book
from tests.drift.whole_book import write_everything
from tests.factories.orders import OrderFactory
from tests.factories.wallets import WalletFactory

from .promql import Scrapes

pytestmark = pytest.mark.slow

RULES = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load((ROOT / "deploy/prometheus/backoffice.rules.yml").read_text())[
        "groups"
    ]
    for rule in group["rules"]
}
NIGHT = datetime(2026, 11, 22, 3, 30, tzinfo=UTC)
"""When the healthy scrapes are taken: no hour of the daily summary."""


class Watch:
    """A healthy book with a worker and a scheduler, and Prometheus, which scrapes it every half minute."""

    def __init__(
        self, app: Flask, session: Any, surgery: psycopg.Connection[Any],
        outside: psycopg.Connection[Any], services: Any, secret: str,
    ) -> None:  # fmt: skip
        self.app, self.session, self.surgery, self.outside = app, session, surgery, outside
        self.services = services
        surgery.execute("SELECT pg_stat_reset()")  # without the disk reads of earlier tests
        surgery.execute("SET enable_seqscan = off")  # a book at work reads its indexes all day
        surgery.execute("SELECT (SELECT id FROM runs WHERE id = n) FROM generate_series(1, 5000) n")
        surgery.execute("SELECT pg_stat_force_next_flush()")
        self.secret = secret
        self.redis = Redis.from_url(services.redis.url)
        self.worker = Worker([queue(self.redis)], connection=self.redis)
        self.worker.register_birth()
        self.scrapes, self.at = Scrapes(), NIGHT

    def scrape(self, at: datetime | None = None) -> str:
        """Ask `/metrics` anew, in the middle of the night unless it is said when."""
        self.session.execute(text("SELECT pg_stat_force_next_flush()"))
        self.session.commit()
        self.app.extensions.pop("metrics", None)
        headers = {"Authorization": f"Bearer {self.secret}"}
        answer = self.app.test_client().get("/metrics", headers=headers)
        self.at = at or self.at + timedelta(seconds=30)
        self.scrapes.add(self.at, answer.text if answer.status_code == 200 else None)
        return answer.text

    def end(self) -> None:
        with suppress(Exception):
            self.worker.register_death()
        self.redis.close()


SECRETS: list[str] = []
"""The secret of the token, which cannot be read again; kept with the book."""


def healthy(session: Any, surgery: psycopg.Connection[Any]) -> None:
    """Everything once, verified, with a scheduler and the token of Prometheus."""
    write_everything()
    run_of("figures.verify")
    tell_of_the_book(surgery)
    run_of("audit.facts")
    session.add(Scheduler(name="here:1"))
    in_a_year = datetime.now(UTC) + timedelta(days=365)
    made = tokens.create(session, name="prometheus", scope="metrics", expires_at=in_a_year)
    SECRETS[:] = [made.secret]
    session.commit()


@pytest.fixture
def watch(
    app: Flask, session: Any, surgery: psycopg.Connection[Any], kept_book: Any,
    app_connection: psycopg.Connection[Any], services: Any,
) -> Iterator[Watch]:  # fmt: skip
    kept_book("healthy and watched", lambda: healthy(session, surgery))
    surgery.execute("UPDATE schedulers SET looked_at = now()")
    made = Watch(app, session, surgery, app_connection, services, SECRETS[0])
    made.scrape()
    yield made
    made.end()
    app.extensions.pop("metrics", None)


Scenario = Callable[[Watch], Any]
SCENARIOS: dict[str, Scenario] = {}
"""Alert → what happens to the book; a generator puts it back after the scrape."""


def of(alert: str) -> Callable[[Scenario], Scenario]:
    def keep(scenario: Scenario) -> Scenario:
        SCENARIOS[alert] = scenario
        return scenario

    return keep


@of("BackofficeManyWrong")
def eleven_totals_are_changed_past_every_trigger(watch: Watch) -> None:
    OrderFactory.create_batch(11)
    watch.session.commit()
    watch.surgery.execute("UPDATE orders SET grand_total = grand_total + 1")
    run_of("figures.verify")


@of("BackofficeWrong")
def one_total_is_changed_past_every_trigger(watch: Watch) -> None:
    watch.surgery.execute("UPDATE customers SET balance = 9999")
    run_of("figures.verify")


@of("BalanceSheetNotBalanced")
def an_account_is_changed_past_every_trigger(watch: Watch) -> None:
    watch.surgery.execute("UPDATE accounts SET debits = debits + 7 WHERE code = '1100'")


@of("BackofficeCheckDiffers")
def a_side_of_a_check_is_changed_past_every_trigger(watch: Watch) -> None:
    watch.surgery.execute("UPDATE invoices SET paid = paid + 7")
    run_of("figures.verify")


@of("BackofficeWalletsBelowZero")
def an_adjustment_takes_a_wallet_below_zero(watch: Watch) -> None:
    adjust(watch.session, WalletFactory().id, Decimal(-1))
    watch.session.commit()


@of("BackofficeWalletsLow")
def a_wallet_holds_less_than_its_limit(watch: Watch) -> None:
    WalletFactory(low_limit=Decimal(1))
    watch.session.commit()


@of("BackofficeCheckUncompared")
@of("BackofficeCheckerStale")
def nothing_was_verified_for_27_hours(watch: Watch) -> None:
    watch.surgery.execute("UPDATE figure_checks SET verified_at = now() - interval '27 hours'")


@of("BackofficeCoverageLow")
def owners_came_that_no_verification_has_seen(watch: Watch) -> None:
    OrderFactory.create_batch(20)
    watch.session.execute(text("SELECT pg_stat_force_next_flush()"))
    watch.session.commit()


@of("BackofficeNotesUndrained")
def an_outside_program_wrote_and_no_worker_follows(watch: Watch) -> None:
    watch.outside.execute("UPDATE payments SET amount = amount + 1")
    watch.surgery.execute("UPDATE figure_notes SET noted_at = now() - interval '2 minutes'")


@of("BackofficeManyCorrections")
def an_outside_program_writes_a_thousand_lines(watch: Watch) -> None:
    watch.outside.execute(
        """INSERT INTO order_lines (order_id, kind, description, quantity, unit_price, amount, position)
           SELECT id, 'package', 'Tofu', 1, 1, 1, 100 + n FROM orders, generate_series(1, 1001) n"""
    )
    figures.heal_noted(db.engine)
    watch.outside.execute("UPDATE order_lines SET quantity = quantity + 1")
    figures.heal_noted(db.engine)


@of("BackofficeOutboxStuck")
def a_run_was_asked_for_and_nobody_told(watch: Watch) -> None:
    run = actions.request(watch.session, "figures.verify", {})
    run.created_at = datetime.now(UTC) - timedelta(seconds=90)
    watch.session.commit()


@of("BackofficeQueueWaiting")
def a_run_was_delivered_and_nobody_begins_it(watch: Watch) -> None:
    run = actions.request(watch.session, "figures.verify", {})
    run.created_at = datetime.now(UTC) - timedelta(minutes=20)
    run.delivered_at = datetime.now(UTC)
    watch.session.commit()


@of("BackofficeRunSilent")
def a_run_under_way_was_left(watch: Watch) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=20)
    watch.session.add(
        Run(kind="figures.heal", scope={}, scope_key="x", status="running", updated_at=begun)
    )
    watch.session.commit()


@of("BackofficeRunsFailed")
def a_run_failed(watch: Watch) -> None:
    now = datetime.now(UTC)
    watch.session.add(
        Run(kind="figures.heal", scope={}, scope_key="x", status=FAILED, finished_at=now)
    )
    watch.session.commit()


@of("BackofficeWorkerAbsent")
def the_last_worker_is_gone(watch: Watch) -> None:
    watch.worker.register_death()


@of("BackofficeSchedulerAbsent")
def no_scheduler_has_looked_for_ten_minutes(watch: Watch) -> None:
    watch.surgery.execute("UPDATE schedulers SET looked_at = now() - interval '10 minutes'")


@of("BackofficeScheduleOverdue")
def a_monthly_run_was_never_started(watch: Watch) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    watch.session.add(KnownSchedule(name="balance-rebuild-monthly", known_since=long_ago))
    watch.session.commit()


@of("BackofficeSealingStalled")
def an_event_has_waited_for_its_seal(watch: Watch) -> None:
    watch.surgery.execute("UPDATE audit_events SET at = now() - interval '20 minutes'")


@of("BackofficeTrailBroken")
def the_chain_was_found_broken(watch: Watch) -> None:
    watch.session.add(AuditCheck(kind="verified", seal=1, events=10, bad=2))
    watch.session.commit()


@of("BackofficeFactsForged")
def a_payment_is_changed_past_the_audit_trail(watch: Watch) -> None:
    watch.surgery.execute("UPDATE payments SET amount = amount + 1")
    run_of("audit.facts")


@of("BackofficeFactsUnverified")
def facts_were_not_compared_with_the_trail_for_27_hours(watch: Watch) -> None:
    watch.surgery.execute(
        "UPDATE figure_checks SET verified_at = now() - interval '27 hours' WHERE figure LIKE 'facts:%'"
    )


@of("BackofficeDown")
def the_token_is_revoked(watch: Watch) -> None:
    watch.secret = "bo_" + "x" * 40


@of("BackofficeMetricsIncomplete")
def a_table_is_not_there(watch: Watch) -> Iterator[None]:
    watch.surgery.execute("ALTER TABLE schedulers RENAME TO elsewhere")
    yield
    watch.surgery.execute("ALTER TABLE elsewhere RENAME TO schedulers")


@of("BackofficeNotReady")
def a_guard_is_switched_off(watch: Watch) -> Iterator[None]:
    guard = "TRIGGER backoffice_append_only_corrections"
    watch.surgery.execute(f"ALTER TABLE corrections DISABLE {guard}".encode())
    yield
    watch.surgery.execute(f"ALTER TABLE corrections ENABLE {guard}".encode())


@of("BackofficeRedisDown")
def redis_does_not_answer(watch: Watch) -> None:
    watch.app.config["REDIS_URL"] = "redis://127.0.0.1:1/0"


@of("BackofficeSlowQueries")
def a_query_takes_long(watch: Watch) -> None:
    with watch.app.test_request_context("/"):
        db.session.execute(text("SELECT pg_sleep(0.55)"))
        db.session.rollback()


@contextmanager
def locked(watch: Watch, seconds: float) -> Iterator[None]:
    """The list of products waits so long."""
    url = watch.services.postgres.url("backoffice_admin")
    holds = threading.Event()

    def hold() -> None:
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
            holds.set()
            time.sleep(seconds)

    holder = threading.Thread(target=hold)
    holder.start()
    holds.wait(10)
    yield
    holder.join()


@of("BackofficeSlowRequests")
def a_page_waits_for_a_lock(watch: Watch) -> None:
    browser = signed_in(watch)
    watch.scrape()
    with locked(watch, 2.5):
        assert browser.get("/products").status_code in (200, 503)


@of("BackofficeErrors")
def pages_fail(watch: Watch) -> Iterator[None]:
    browser = signed_in(watch)
    watch.surgery.execute("ALTER TABLE products RENAME TO elsewhere")
    assert {browser.get("/products").status_code // 100 for _ in range(7)} == {5}
    yield
    watch.surgery.execute("ALTER TABLE elsewhere RENAME TO products")


def signed_in(watch: Watch) -> Any:
    from tests.signing_in import cookie_for, someone

    browser = watch.app.test_client()
    browser.set_cookie(*cookie_for(watch.app, someone(watch.app, "finance")))
    return browser


@of("BackofficeConnectionsShort")
def most_connections_are_taken(watch: Watch) -> Iterator[None]:
    [most] = watch.surgery.execute("SELECT current_setting('max_connections')::int").fetchone()  # type: ignore[misc]
    url = watch.services.postgres.url("backoffice_admin")
    connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    [there] = watch.surgery.execute(connections).fetchone()  # type: ignore[misc]
    with ExitStack() as stack:
        for _ in range(int(most * 0.82) - there):
            stack.enter_context(psycopg.connect(url))
        yield


def as_seen(watch: Watch, view: str, select: str) -> Iterator[None]:
    """Replace a PostgreSQL view that the app reads, because the clock cannot be advanced."""
    watch.surgery.execute("CREATE SCHEMA seen")
    watch.surgery.execute(f"CREATE VIEW seen.{view} AS {select}".encode())
    watch.surgery.execute("GRANT USAGE ON SCHEMA seen TO PUBLIC")
    watch.surgery.execute(f"GRANT SELECT ON seen.{view} TO PUBLIC".encode())
    watch.surgery.execute("ALTER ROLE backoffice_app SET search_path = seen, public, pg_catalog")
    db.engine.dispose()
    yield
    watch.surgery.execute("ALTER ROLE backoffice_app RESET search_path")
    watch.surgery.execute("DROP SCHEMA seen CASCADE")
    db.engine.dispose()


@of("BackofficeTransactionOpen")
def a_transaction_began_two_hours_ago(watch: Watch) -> Iterator[None]:
    columns = "state, datname, pid, xact_start - interval '2 hours' AS xact_start"
    url = watch.services.postgres.url("backoffice_app")
    with psycopg.connect(url) as open_one:
        open_one.execute("SELECT 1 FROM orders")
        yield from as_seen(
            watch, "pg_stat_activity", f"SELECT {columns} FROM pg_catalog.pg_stat_activity"
        )


@of("BackofficeIndexesCold")
def indexes_are_read_from_disk(watch: Watch) -> Iterator[None]:
    cold = "1::bigint AS idx_blks_hit, 9::bigint AS idx_blks_read, heap_blks_hit, heap_blks_read"
    yield from as_seen(
        watch, "pg_statio_user_tables", f"SELECT {cold} FROM pg_catalog.pg_statio_user_tables"
    )


@of("BackofficeTokenEnds")
def a_token_ends_in_ten_days(watch: Watch) -> None:
    soon = NIGHT + timedelta(days=10)
    tokens.create(watch.session, name="soon", scope="health", expires_at=soon)
    watch.session.commit()


@of("BackofficeDailySummary")
def it_is_five_past_seven(watch: Watch) -> None:
    watch.at = datetime(2026, 11, 22, 7, 5, tzinfo=UTC)


def test_every_alert_has_its_scenario() -> None:
    assert sorted(SCENARIOS) == sorted(RULES)


def test_over_a_healthy_book_no_alert_fires(watch: Watch) -> None:
    watch.scrape()
    assert [alert for alert, expression in RULES.items() if watch.scrapes.fires(expression)] == []


@pytest.mark.leaves_drift
@pytest.mark.parametrize("alert", RULES)
def test_an_alert_fires_when_what_it_calls_for_is_so(watch: Watch, alert: str) -> None:
    expression = RULES[alert]
    assert not watch.scrapes.fires(expression), "over the healthy book"
    happens = SCENARIOS[alert](watch)
    if happens is not None:
        next(happens)
    try:
        watch.scrape()
        assert watch.scrapes.fires(expression), watch.scrapes.query(expression)
        servers = {dict(labels).get("instance") for labels in watch.scrapes.query(expression)}
        assert servers == {None} or alert == "BackofficeDown", "it fires once for each server"
    finally:
        if happens is not None:
            next(happens, None)


# Reported and documented metrics


def documented() -> set[str]:
    """The metrics that the table of docs/operations.md names."""
    guide = (ROOT / "docs" / "operations.md").read_text()
    table = guide.partition("| metric | what it says |")[2].partition("\n\n")[0]
    named = (row.split("|")[1] for row in table.splitlines() if "|" in row)
    return {name for cell in named for name in re.findall(r"`(\w+)`", cell)}


def test_every_documented_metric_has_a_sample_and_every_metric_is_documented(watch: Watch) -> None:
    """After a real verification, a correction, a save and a page, every documented metric has a sample."""
    watch.outside.execute("UPDATE payments SET amount = amount + 1")
    figures.heal_noted(db.engine)
    signed_in(watch).get("/orders")
    written = watch.scrape()
    families = list(text_string_to_metric_families(written))
    reported = {name for family in families for name in names_of(family)}
    with_samples = {name for family in families if family.samples for name in names_of(family)}
    assert len(documented()) > 40
    assert documented() - with_samples == set(), "documented and without a sample"
    assert reported - documented() == set(), "reported and not documented"


def names_of(family: Any) -> set[str]:
    return {f"{family.name}_total"} if family.type == "counter" else {family.name}


def test_the_share_of_right_rows_is_that_of_the_rows_that_were_compared(watch: Watch) -> None:
    OrderFactory.create_batch(3)
    watch.session.commit()
    watch.surgery.execute("UPDATE orders SET grand_total = grand_total + 1 WHERE number = 'SO-1'")
    run_of("figures.verify")
    watch.scrape()
    shares = watch.scrapes.query("backoffice_figure_valid_ratio")
    assert isinstance(shares, dict)
    by_figure = {dict(labels)["figure"]: value for labels, value in shares.items()}
    assert by_figure["orders.grand_total"] == 0.75
    assert {f.name for f in figures.registry.figures} <= set(by_figure)
    assert by_figure["customers.balance"] == 1
    run_of("figures.heal")
