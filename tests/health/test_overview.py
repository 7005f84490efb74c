"""The overview of Health, and the dot of every page."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, text, update

from backoffice.app.extensions import db
from backoffice.drift import figure_status
from backoffice.drift.models import FigureCheck
from backoffice.figures import registry
from backoffice.health import queries
from backoffice.orders.models import Order
from backoffice.runs import actions
from backoffice.runs.models import Run
from tests.drift.books import key_in, rows_of, run_of, text_of

SignIn = Callable[..., FlaskClient]


@pytest.fixture(autouse=True)
def healed_at_the_end(session: Any) -> Iterator[None]:
    """Repair what a test tampered with, because after every test no figure may have drifted."""
    figure_status.forget()
    yield
    session.rollback()
    run_of("figures.heal")
    figure_status.forget()


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


def figures_of(client: FlaskClient) -> dict[str, str]:
    """The rows of figures by their first cell, with their text."""
    rows = [" ".join(cells) for cells in rows_of(client, "/health")]
    names = ("Line amount", "Components", "Grand total", "Achieved")
    return {name: row for name in names for row in rows if row.find(name) in range(40)}


def dot_of(client: FlaskClient, page: str = "/orders") -> tuple[str, str, str]:
    """The dot's tone, text and address."""
    html = client.get(page).text
    found = re.search(
        r'<a class="health-dot tone-(\w+)"\s+href="([^"]+)"[^>]*>(.*?)</a>', html, re.DOTALL
    )
    assert found, html
    words = " ".join(re.sub(r"<[^>]+>", " ", found[3]).split())
    return found[1], words.removeprefix("Health: "), found[2]


def test_every_figure_says_what_it_is_and_that_it_was_never_verified(
    finance: FlaskClient, orders: dict[str, Order]
) -> None:
    reported = figures_of(finance)
    assert list(reported) == ["Line amount", "Components", "Grand total", "Achieved"]
    assert "Package price + Additions − Promo − Reductions" in reported["Grand total"]
    assert "Package price, Additions, Promo, Reductions" in reported["Components"]
    assert "Quantity × Unit price" in reported["Line amount"]
    assert all("never" in row for row in reported.values())
    assert "0.0%" in reported["Grand total"]


def test_what_is_wrong_and_verified_stands_in_the_figures_row_with_its_links(
    finance: FlaskClient, wrong: dict[str, Order]
) -> None:
    reported = figures_of(finance)
    assert "70.00" in reported["Grand total"]
    assert "25.00" in reported["Line amount"]
    assert all("100.0%" in row for row in reported.values())
    page = finance.get("/health").text
    assert 'href="/health/drift?figure=orders.grand_total"' in page
    assert len(rows_of(finance, "/health/drift?figure=orders.grand_total")) == 1
    assert "2 stored totals are wrong: Rp 95.00" in text_of(page)


def test_new_owners_make_the_coverage_smaller(
    finance: FlaskClient, session: Any, orders: dict[str, Order]
) -> None:
    run_of("figures.verify")
    session.execute(text("DELETE FROM order_lines"))
    session.execute(text("DELETE FROM orders WHERE number = 'A-1'"))
    session.commit()
    assert "100.0%" in figures_of(finance)["Grand total"]
    session.execute(update(FigureCheck).values(owners=1))
    session.commit()
    assert "50.0%" in figures_of(finance)["Grand total"]


def test_a_stale_check_is_marked(
    finance: FlaskClient, session: Any, orders: dict[str, Order]
) -> None:
    run_of("figures.verify")
    late = datetime.now(UTC) - timedelta(hours=27)
    stale = update(FigureCheck).where(FigureCheck.figure == "orders.grand_total")
    session.execute(stale.values(verified_at=late))
    session.commit()
    reported = figures_of(finance)
    assert "too long ago" in reported["Grand total"]
    assert "too long ago" not in reported["Components"]


def test_corrections_are_counted_by_cause_and_drawn_by_day(
    finance: FlaskClient, wrong: dict[str, Order]
) -> None:
    run_of("figures.heal")
    assert "1 Found by a check" in figures_of(finance)["Grand total"]
    page = finance.get("/health").text
    assert "chart-plot" in page
    reported = text_of(page)
    assert "2 rows found wrong, 2 corrections" in reported
    assert re.search(r'href="/health/drift\?state=all&amp;since=[\d-]+&amp;until=[\d-]+"', page)


def test_a_flood_of_corrections_is_read_up_to_a_limit(
    finance: FlaskClient, wrong: dict[str, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_of("figures.heal")
    monkeypatch.setattr(queries, "MOST_CORRECTIONS", 1)
    reported = figures_of(finance)
    assert sum("Found by a check" in row for row in reported.values()) == 1


def test_changes_that_wait_for_a_worker_are_shown(
    finance: FlaskClient,
    orders: dict[str, Order],
    app_connection: psycopg.Connection[Any],
) -> None:
    app_connection.execute("UPDATE orders SET promo = 5 WHERE number = 'A-1'")
    assert "1 change waits" in figures_of(finance)["Grand total"]


def test_the_background_is_told(
    finance: FlaskClient, session: Any, orders: dict[str, Order]
) -> None:
    assert "A run ended last never" in text_of(finance.get("/health").text)
    waiting = actions.request(session, "figures.verify", {})
    waiting.created_at = datetime.now(UTC) - timedelta(minutes=3)
    session.commit()
    reported = text_of(finance.get("/health").text)
    assert "1 run has waited for a worker since" in reported
    assert "Waiting 1 run" in reported
    actions.cancel(session, waiting.id)
    session.commit()


def test_verify_now_begins_a_run_from_there(
    finance: FlaskClient, session: Any, orders: dict[str, Order]
) -> None:
    page = finance.get("/health").text
    assert page.count('action="/health/drift/verify"') == len(registry.figures) + 1
    answer = finance.post("/health/drift/verify", data={"idempotency_key": key_in(page)})
    assert session.get_one(Run, int(answer.location.rpartition("/")[2])).kind == "figures.verify"


def test_a_viewer_looks_and_begins_nothing_and_an_account_manager_does_not_look(
    sign_in: SignIn, orders: dict[str, Order]
) -> None:
    assert "Verify" not in text_of(sign_in("viewer").get("/health").text).replace("Verified", "")
    assert sign_in("account_manager").get("/health").status_code == 403


# The dot


def test_the_dot_says_unverified_right_wrong_and_stale_and_leads_on(
    finance: FlaskClient, session: Any, orders: dict[str, Order], surgery: Any
) -> None:
    assert dot_of(finance) == ("info", "Not checked yet", "/health")
    run_of("figures.verify")
    figure_status.forget()
    assert dot_of(finance) == ("good", "Figures are right", "/health")
    surgery.execute("UPDATE orders SET grand_total = 1 WHERE number <> 'A-3'")
    run_of("figures.verify")
    figure_status.forget()
    assert dot_of(finance) == ("bad", "2 wrong", "/health/drift")
    run_of("figures.heal")
    late = datetime.now(UTC) - timedelta(hours=27)
    session.execute(update(FigureCheck).values(verified_at=late))
    session.commit()
    figure_status.forget()
    assert dot_of(finance) == ("warning", "Not checked lately", "/health")


def test_the_dot_costs_a_page_no_statement_and_is_soon_right_again(
    app: Flask, finance: FlaskClient, wrong: dict[str, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figure_status, "SECONDS", 3.0)
    assert dot_of(finance)[1] == "2 wrong"
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        dot_of(finance, "/products/new")
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert [statement for statement in sent if "drift_findings" in statement] == []
    run_of("figures.heal")
    clock = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: clock + 3)
    assert dot_of(finance)[1] == "Figures are right"


def test_the_dot_counts_up_to_a_limit(
    finance: FlaskClient, session: Any, orders: dict[str, Order]
) -> None:
    session.execute(
        text("""
            INSERT INTO drift_findings (figure, owner, key, kind, roots, is_root, cause)
            SELECT 'orders.grand_total', n, jsonb_build_object('id', n), 'missing', '[]', true, 'row'
            FROM generate_series(1, :many) n
        """),
        {"many": figure_status.MOST_COUNTED + 5},
    )
    session.commit()
    assert dot_of(finance)[1] == "1,000 or more wrong"
    session.execute(text("DELETE FROM drift_findings"))
    session.commit()


def test_a_page_is_drawn_without_its_dot_where_that_cannot_be_read(
    finance: FlaskClient, orders: dict[str, Order], owner_connection: psycopg.Connection[Any]
) -> None:
    owner_connection.execute("ALTER TABLE figure_checks RENAME TO elsewhere")
    try:
        page = finance.get("/orders")
    finally:
        owner_connection.execute("ALTER TABLE elsewhere RENAME TO figure_checks")
    assert page.status_code == 200
    assert "health-dot" not in page.text
