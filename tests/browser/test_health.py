"""Drift is healed in four clicks, and the pages of Health in a real browser: both languages, dark, narrow, axe."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.drift import figure_status
from backoffice.drift.models import DriftFinding
from backoffice.figures.models import Correction
from backoffice.orders.models import Order
from backoffice.runs import working
from backoffice.runs.models import Run
from tests.drift.books import an_order, run_of
from tests.factories.people import AccountManagerFactory
from tests.surgery import past_every_trigger

Browse = Callable[..., Page]


@pytest.fixture
def wrong(session: Any, admin_database_url: str) -> Iterator[dict[str, Order]]:
    """Three orders; two of them were changed past every trigger, and verification found it."""
    nancy = AccountManagerFactory(name="Nancy Davolio")
    orders = {number: an_order(number, account_manager=nancy) for number in ("A-1", "A-2", "A-3")}
    session.commit()
    with past_every_trigger(admin_database_url) as surgery:
        surgery.execute("UPDATE orders SET grand_total = 100 WHERE number = 'A-1'")
        surgery.execute("UPDATE orders SET grand_total = 5 WHERE number = 'A-2'")
    run_of("figures.verify")
    figure_status.forget()
    yield orders
    session.rollback()
    run_of("figures.heal")
    figure_status.forget()


def work_on(page: Page) -> int:
    """Perform the run that the page shows, as a worker would; returns its number."""
    expect(page).to_have_url(re.compile(r"/runs/\d+$"))
    number = int(page.url.rpartition("/")[2])
    working.perform(db.engine, number)
    return number


def test_drift_is_mended_in_four_clicks(
    browse: Browse,
    app: Flask,
    session: Any,
    wrong: dict[str, Order],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figure_status, "SECONDS", 0.0)
    page = browse("finance")
    page.goto("/orders")
    clicks: list[str] = []

    def click(locator: Any) -> None:
        clicks.append(str(locator))
        locator.click()

    click(page.get_by_role("link", name="2 wrong"))
    expect(page.get_by_role("heading", name="Drift", level=1)).to_be_visible()
    expect(page.locator("tbody tr").first).to_contain_text("-70.00")
    click(page.get_by_role("checkbox", name="A-1", exact=True))
    click(page.get_by_role("button", name="Preview the correction"))
    previewed = work_on(page)
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("100.00")
    expect(page.locator("tbody tr")).to_contain_text("30.00")
    reason = page.get_by_label("Reason")
    reason.focus()
    page.keyboard.type("Restored from an old backup")
    click(page.get_by_role("button", name=re.compile("Apply")))
    expect(page).not_to_have_url(re.compile(f"/runs/{previewed}$"))
    applied = work_on(page)
    expect(page.get_by_role("status").filter(has_text="Done")).to_be_visible()
    assert len(clicks) == 4
    session.expire_all()
    assert session.get_one(Run, applied).changed == 1
    kept = session.scalars(select(Correction).where(Correction.run_id == applied)).one()
    assert kept.reason == "Restored from an old backup"
    page.goto("/health/drift")
    expect(page.get_by_role("link", name="1 wrong")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("A-2")


def test_all_that_match_are_previewed_without_ticking(browse: Browse, wrong: Any) -> None:
    page = browse("finance")
    page.goto("/health/drift")
    page.get_by_label("Amount at least").fill("26")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Preview it for all 1 that match").click()
    work_on(page)
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("A-1")


def test_one_order_is_recalculated_from_its_page(browse: Browse, wrong: Any) -> None:
    page = browse("finance")
    page.goto("/orders/A-2")
    page.get_by_role("button", name="Recalculate order").click()
    work_on(page)
    expect(page.locator("tbody tr")).to_contain_text("A-2")


def test_every_line_of_today_leads_on(browse: Browse, wrong: Any) -> None:
    page = browse("finance")
    page.goto("/")
    expect(page).to_have_url(re.compile("/today$"))
    page.get_by_role("link", name="2 stored totals are wrong").click()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    session: Any, wrong: Any, every_look: Callable[..., None]
) -> None:
    number = session.scalars(select(DriftFinding.id).order_by(DriftFinding.id)).first()
    run_of("figures.heal", {"figures": {"orders.grand_total": [wrong["A-2"].id]}})
    screens = {
        "today": "/today",
        "health": "/health",
        "drift": "/health/drift",
        "drift-all": "/health/drift?state=all",
        "finding": f"/health/drift/{number}",
        "nothing": "/health/drift?q=nothing",
    }
    every_look({f"health-{name}": path for name, path in screens.items()}, "admin")


def test_without_javascript_drift_is_previewed_all_the_same(
    app: Flask, browse: Browse, wrong: Any, session: Any
) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto("/health/drift")
    page.get_by_role("checkbox", name="A-1", exact=True).check()
    page.get_by_role("button", name="Preview the correction").click()
    expect(page).to_have_url(re.compile(r"/runs/\d+$"))
