"""Today: everybody's start page says what needs attention, each number a link to the rows behind it."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text, update

from backoffice.app.attention import Notice, Source
from backoffice.app.domain import Declared, Domain
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.base import periods
from backoffice.base.actor import acting_as
from backoffice.base.periods import Month
from backoffice.database.proof import prove
from backoffice.drift.models import FigureCheck
from backoffice.imports.models import Import
from backoffice.orders.models import Order
from backoffice.runs import actions
from backoffice.runs.models import AWAITING_APPROVAL, DONE, FAILED, Run
from backoffice.targets import actions as targets
from backoffice.targets.actions import Entry
from tests.drift.books import rows_of, run_of, text_of
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory

OF_EVERY_PAGE = 7
"""Statements of Today beside one for each source of what needs attention."""

SignIn = Callable[..., FlaskClient]


@pytest.fixture(autouse=True)
def healed_at_the_end(session: Any) -> Iterator[None]:
    """What a test tampered with is right again for the law that every test is under."""
    yield
    session.rollback()
    run_of("figures.heal")


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


def reported(client: FlaskClient) -> str:
    page = client.get("/today")
    assert page.status_code == 200, page.text
    return text_of(page.text)


def way_of(client: FlaskClient, words: str) -> str:
    """The address of the line with these words."""
    for href, line in re.findall(
        r'<a href="([^"]+)">(.*?)</a>', client.get("/today").text, re.DOTALL
    ):
        if words in " ".join(re.sub(r"<[^>]+>", " ", line).split()):
            return str(href).replace("&amp;", "&")
    raise AssertionError(f"No line says {words!r}: {reported(client)}")


def verified() -> None:
    run_of("figures.verify")


@pytest.mark.parametrize("role", ["viewer", "finance", "account_manager", "admin"])
def test_everybody_starts_there(sign_in: SignIn, role: str) -> None:
    client = sign_in(role)
    assert client.get("/").location == "/today"
    assert "Today" in reported(client)


def test_an_empty_book_is_well(sign_in: SignIn) -> None:
    assert "There is no figure to check yet." in reported(sign_in("viewer"))
    assert "Nothing at the moment." in reported(sign_in("account_manager"))


def test_a_right_book_is_one_sentence_and_when_it_was_checked(
    finance: FlaskClient, orders: dict[str, Order]
) -> None:
    verified()
    assert re.search(r"Every stored figure is right\. Checked \d\d:\d\d\.", reported(finance))
    assert "wrong" not in reported(finance)
    assert way_of(finance, "Every stored figure is right") == "/health"


def test_drift_is_counted_added_up_and_dated_and_leads_to_its_rows(
    finance: FlaskClient, wrong: dict[str, Order]
) -> None:
    said = reported(finance)
    assert "Not every stored figure is right. Checked " in said
    assert "2 stored totals are wrong: Rp 95.00 in all, the oldest first seen" in said
    assert len(rows_of(finance, way_of(finance, "2 stored totals"))) == 2


def test_a_checker_that_never_ran_is_itself_an_alert(
    finance: FlaskClient, orders: dict[str, Order]
) -> None:
    assert "No figure has been verified yet." in reported(finance)
    run_of("figures.verify", {"figures": {"account_manager_targets.achieved": None}})
    assert "4 figures have never been verified." in reported(finance)


def test_a_checker_that_has_not_run_is_itself_an_alert(
    finance: FlaskClient, session: Any, orders: dict[str, Order]
) -> None:
    verified()
    late = datetime.now(UTC) - timedelta(hours=27)
    session.execute(update(FigureCheck).values(verified_at=late))
    session.commit()
    assert "Every stored figure was right." in reported(finance)
    assert "the nightly check has not run since" in reported(finance)
    assert "books-warning" in finance.get("/today").text


def test_changes_by_other_programs_that_nobody_works_off_are_told(
    finance: FlaskClient,
    session: Any,
    orders: dict[str, Order],
    app_connection: psycopg.Connection[Any],
) -> None:
    verified()
    app_connection.execute("UPDATE orders SET promo = 5 WHERE number = 'A-1'")
    assert "Every stored figure was right." in reported(finance)
    assert "1 change by another program is not counted in yet." in reported(finance)
    assert "has waited for a worker" not in reported(finance)
    prove(session.connection())
    session.execute(text("UPDATE figure_notes SET noted_at = now() - interval '2 minutes'"))
    session.commit()
    assert "1 change by another program has waited" in reported(finance)


def a_run(session: Any, by: str, **values: Any) -> Run:
    with acting_as(by):
        scope = {"figures": {"orders.grand_total": values.pop("owners", None)}}
        run = actions.request(session, "figures.heal", scope, dry_run=True)
    for name, value in values.items():
        setattr(run, name, value)
    session.commit()
    return run


def test_failed_and_waiting_runs_are_told_with_their_rows(
    finance: FlaskClient, session: Any, orders: dict[str, Order]
) -> None:
    verified()
    now = datetime.now(UTC)
    a_run(session, "cli:root", owners=[1], status=FAILED, finished_at=now)
    a_run(session, "cli:root", owners=[2], created_at=now - timedelta(minutes=5))
    assert "1 run failed" in reported(finance)
    assert "1 run has waited for a worker" in reported(finance)
    assert len(rows_of(finance, way_of(finance, "1 run failed"))) == 1
    assert len(rows_of(finance, way_of(finance, "has waited for a worker"))) == 1
    a_run(session, "cli:root", owners=[1], status=DONE, finished_at=now)
    assert "failed" not in reported(finance)


def test_what_waits_for_approval_is_told_to_whoever_may_and_to_whoever_asked(
    sign_in: SignIn, session: Any, orders: dict[str, Order]
) -> None:
    asker = UserFactory(role="finance")
    session.commit()
    waiting = a_run(session, f"user:{asker.id}", status=AWAITING_APPROVAL)
    assert "1 run waits for your approval." in reported(sign_in("finance"))
    assert "1 run of yours waits for another user's approval." in reported(sign_in(asker))
    assert "approval" not in reported(sign_in("viewer"))
    actions.cancel(session, waiting.id)
    session.commit()


def test_my_dry_run_that_found_something_is_unfinished_until_it_is_applied_or_asked_anew(
    sign_in: SignIn, session: Any, wrong: dict[str, Order]
) -> None:
    me = UserFactory(role="finance")
    session.commit()
    with acting_as(f"user:{me.id}"):
        run = run_of("figures.heal", {"figures": {"orders.grand_total": None}}, dry_run=True)
    mine, others = sign_in(me), sign_in("finance")
    line = f"Dry run {run.id} (Heal figures) found"
    assert line in reported(mine)
    assert way_of(mine, line) == f"/runs/{run.id}"
    assert "My unfinished work" not in reported(others)
    run_of("figures.heal", {"figures": {"orders.grand_total": None}})
    with acting_as(f"user:{me.id}"):
        run_of("figures.heal", {"figures": {"orders.grand_total": None}}, dry_run=True)
    assert "My unfinished work" not in reported(mine)


def test_my_uploads_that_are_not_imported_are_unfinished(sign_in: SignIn, session: Any) -> None:
    me = UserFactory(role="finance")
    session.flush()
    facts: dict[str, Any] = {"kind": "orders", "files": [], "digest": "x", "user_id": me.id}
    session.add(Import(name="march.csv", state="checked", bad_lines=3, **facts))
    session.add(Import(name="april.csv", **facts))
    session.add(Import(name="may.csv", state="applied", **facts))
    session.commit()
    said = reported(sign_in(me))
    assert "march.csv is not imported: 3 lines of it cannot be read as they are." in said
    assert "april.csv is uploaded, and not imported." in said
    assert "may.csv" not in said
    assert "march.csv" not in reported(sign_in("finance"))


def test_orders_that_stand_open_for_long_are_told_of_to_whom_they_belong(
    sign_in: SignIn, session: Any
) -> None:
    nancy, robert = AccountManagerFactory(), AccountManagerFactory()
    old = periods.today() - timedelta(days=31)
    for number, (manager, day, closed) in enumerate(
        [(nancy, old, None), (robert, old, None), (nancy, periods.today(), None), (nancy, old, old)]
    ):
        OrderFactory(
            number=f"O-{number}", account_manager=manager, order_date=day, closing_date=closed
        )
    session.commit()
    everybodys, hers = sign_in("viewer"), sign_in(nancy)
    assert "2 orders have been open for over 30 days: Rp 18,600,000.00." in reported(everybodys)
    assert "1 order has been open for over 30 days: Rp 9,300,000.00." in reported(hers)
    assert len(rows_of(everybodys, way_of(everybodys, "2 orders have been open"))) == 2
    assert len(rows_of(hers, way_of(hers, "1 order has been open"))) == 1


def test_an_account_manager_reads_how_far_their_month_is(
    sign_in: SignIn, session: Any, orders: dict[str, Order], surgery: psycopg.Connection[Any]
) -> None:
    nancy = orders["A-1"].account_manager
    today = periods.today()
    session.execute(
        update(Order).where(Order.number == "A-1").values(order_date=today, closing_date=today)
    )
    targets.enter(session, nancy.id, {Month.of(today): Entry(None, Decimal(120))})
    session.commit()
    client = sign_in(nancy)
    line = "Rp 30.00 of your target of Rp 120.00 (25.0%)."
    assert line in reported(client)
    assert way_of(client, line) == f"/targets/{nancy.id}/{Month.of(today)}"
    assert "of your target" not in reported(sign_in("finance"))
    assert "stored figure" not in reported(client)
    surgery.execute("UPDATE account_manager_targets SET achieved = 60 WHERE achieved = 30")
    run_of("figures.verify")
    line = "Rp 60.00 of your target of Rp 120.00 (50.0%). What is stored as achieved is known to be wrong."
    assert line in reported(client)
    run_of("figures.heal")
    assert "known to be wrong" not in reported(client)


LINES = [Notice("Some <b>news</b>", "/a"), Notice("Terrible", "/b", "danger", 3)]
MINE = Source("mine", "attention", "runs.approve", lambda _session, _user: LINES)


@pytest.mark.parametrize("domains", [(*DOMAINS, Domain("mine", notices=(MINE,)))], ids=["mine"])
def test_what_a_source_says_is_asked_only_for_those_who_may_and_the_worst_comes_first(
    domains: Any, sign_in: SignIn
) -> None:
    page = sign_in("finance").get("/today").text
    assert page.index("Terrible") < page.index("Some &lt;b&gt;news&lt;/b&gt;")
    assert "Terrible" not in sign_in("viewer").get("/today").text


def test_it_costs_few_statements(
    app: Flask, sign_in: SignIn, session: Any, wrong: dict[str, Order]
) -> None:
    client, sent = sign_in("admin"), []
    client.get("/today")
    engine = db.engine

    def count(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    try:
        client.get("/today")
    finally:
        event.remove(engine, "before_cursor_execute", count)
    assert len(sent) <= OF_EVERY_PAGE + len(Declared(DOMAINS).notices), sent
