"""A recalculation of all customers in a real browser: from the button to the report to applying it."""

import itertools
import re

import psycopg
import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.billing.recalculation import views as recalculation_screens
from backoffice.drift.healing.performing import performed
from backoffice.runs import working
from backoffice.runs.models import Run
from tests.billing.recalculations import a_customer, balances, recalculated
from tests.browser.looks import LANGUAGES


@pytest.fixture
def book(session, admin_database_url):
    """Ana's balance is 250.00 too low, Budi's overpayment 60.50 too high, Citra's figures are right."""
    a_customer("C-1", name="Ana", invoiced="5250")
    a_customer("C-2", name="Budi", paid="40")
    a_customer("C-3", name="Citra", invoiced="10", paid="10")
    session.commit()
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE customers SET balance = 5000 WHERE code = 'C-1'")
        connection.execute("UPDATE customers SET overpayment = 100.50 WHERE code = 'C-2'")


def only_run(session, **which):
    session.rollback()
    return session.scalars(select(Run.id).filter_by(**which)).one()


def perform(run_id, chunks):
    """Perform its plan and that many chunks, as a worker would."""
    tried = itertools.count()
    working.perform(db.engine, run_id, stopping=lambda: next(tried) > chunks)


def test_from_the_button_to_the_report_to_its_application(session, browse, axe, book):
    page = browse("finance")
    page.goto("/billing/recalculations")
    expect(page.get_by_text("No recalculation yet")).to_be_visible()
    axe(page)
    page.get_by_role("button", name="Recalculate all customers").click()
    status = page.locator("#run-heading")
    expect(status).to_have_text("Queued")
    run_id = only_run(session)

    perform(run_id, chunks=2)  # the comparison of facts, then the customers of the first stage
    expect(page.get_by_text("3 of 9 looked at")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Progress")).to_have_attribute("value", "3")
    axe(page)
    performed(db.engine, run_id)
    expect(status).to_have_text("Done")
    expect(page.locator("#run[hx-trigger]")).to_have_count(0)
    expect(page.get_by_role("row", name="Ana Balance 5,000.00 5,250.00 +250.00")).to_be_visible()
    expect(page.get_by_role("row", name="Overpayment 100.50 -60.50 40.00")).to_be_visible()
    axe(page)

    page.get_by_role("link", name="All changed customers").click()
    expect(page.locator(".changes-table tbody tr")).to_have_count(2)
    axe(page)
    page.go_back()
    page.get_by_role("link", name="+250.00").click()
    expect(page.get_by_text("5,250.00").first).to_be_visible()
    page.go_back()

    page.get_by_role("button", name="Apply these changes").click()
    expect(page.locator("[data-error-summary]")).to_contain_text("Say why")
    page.get_by_label("Reason").fill("Closing of March")
    page.get_by_role("button", name="Apply these changes").click()
    expect(page.locator("#run-heading")).to_have_text("Queued")
    performed(db.engine, only_run(session, kind="figures.apply"))
    expect(page.locator("#run-heading")).to_have_text("Done")
    assert balances(session) == {"C-1": (5250, 0), "C-2": (0, 40), "C-3": (0, 0)}
    page.goto(f"/billing/recalculations/{run_id}")
    expect(page.get_by_text("Applied by")).to_be_visible()
    expect(page.get_by_role("button", name="Apply these changes")).to_have_count(0)


def test_it_works_without_javascript(session, browse, book):
    page = browse("finance", java_script_enabled=False)
    page.goto("/billing/recalculations")
    page.get_by_role("button", name="Recalculate all customers").click()
    run_id = only_run(session)
    performed(db.engine, run_id)
    page.get_by_role("link", name="Load again").click()
    expect(page).to_have_url(re.compile(rf"/billing/recalculations/{run_id}$"))
    expect(page.locator("#run-heading")).to_have_text("Done")
    page.get_by_label("Reason").fill("Closing of March")
    page.get_by_role("button", name="Apply these changes").click()
    performed(db.engine, only_run(session, kind="figures.apply"))
    page.reload()
    expect(page.locator("#run-heading")).to_have_text("Done")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_in_every_look(session, browse, is_sound, book, language):
    page = browse("finance", language=language)
    page.goto("/billing/recalculations")
    page.locator("main form.post-button button").click()
    expect(page.locator("#run-heading")).to_be_visible()
    run_id = only_run(session)
    performed(db.engine, run_id)
    expect(page.locator("#totals-heading")).to_be_visible()
    for name, path in (
        ("list", "/billing/recalculations"),
        ("report", f"/billing/recalculations/{run_id}"),
        ("changes", f"/billing/recalculations/{run_id}/changes"),
    ):
        page.goto(path)
        is_sound(page, f"recalculation-{name}")
    session.rollback()
    recalculated()


def test_the_files_of_the_changes_are_within_reach_on_a_phone(
    session, browse, book, monkeypatch, admin_database_url
):
    """The heading of the significant changes was too long in Indonesian to leave room for its buttons."""
    monkeypatch.setattr(recalculation_screens, "MOST_SHOWN", 1)
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE customers SET balance = 4000 WHERE code = 'C-3'")
    run = recalculated(dry_run=True)
    page = browse("finance", language="id", width="narrow")
    page.goto(f"/billing/recalculations/{run.id}")
    expect(page.locator("#significant-heading")).to_contain_text("1 terbesar dari 2")
    file = page.locator(f"a[href$='/recalculations/{run.id}/changes.csv']").bounding_box()
    assert file["x"] + file["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    session.rollback()
    recalculated()
