"""The migration in a real browser: preview, run, remaining payments, in every look and without JavaScript."""

import re
import threading
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from backoffice.app.extensions import db
from backoffice.customers.models import Customer
from backoffice.runs.models import Run
from backoffice.runs.working import perform
from tests.billing.books_of_meters import (
    a_customer,
    a_payment,
    an_invoice,
    meters_of,
    migrated,
)


@pytest.fixture
def book(session):
    """One payment with a certain match, and one without."""
    ada = a_customer("A", "M-A")
    an_invoice("INV-A", ada)
    a_payment("P-A", ada)
    a_payment("P-B", a_customer("B", "M-B1", "M-B2"))
    session.commit()


@contextmanager
def a_worker(app):
    """A worker that performs every requested run until the block ends."""
    done = threading.Event()

    def work():
        with app.app_context():
            while not done.wait(0.1):
                live = db.session.query(Run.id).filter(Run.finished_at.is_(None)).all()
                db.session.rollback()
                for (run_id,) in live:
                    perform(db.engine, run_id)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(60)


def step(page, title):
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=title))


def test_a_step_is_previewed_and_then_done_and_what_is_left_is_named(
    app, session, book, browse, axe
):
    page = browse("finance")
    page.goto("/billing/meters")
    page.get_by_role("navigation", name="Billing").get_by_role("link", name="Migration").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Migration")
    first = step(page, "Give payments their meters")
    expect(first).to_contain_text("Not done yet")
    with a_worker(app):
        first.get_by_role("button", name="Preview").click()
        expect(first).to_contain_text("Would be done", timeout=30_000)
        assert meters_of("P-A") == {"P-A": None}
        first.get_by_role("link", name="Preview").click()
        page.get_by_label("Reason").fill("The legacy book")
        page.get_by_role("button", name="Apply these changes").click()
        expect(page.locator("#run-heading")).to_have_text("Done", timeout=30_000)
    page.goto("/billing/migration")
    expect(first).to_contain_text("applied by run")
    assert meters_of("P-A") == {"P-A": "M-A"}
    axe(page)
    first.get_by_role("link", name="Payments: several meters that day").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Payments: several meters that day")
    expect(page.get_by_text("What to do:")).to_be_visible()
    axe(page)
    page.get_by_role("link", name="P-B").first.click()
    expect(page).to_have_url(re.compile("/billing/payments/P-B"))


def test_all_steps_are_previewed_while_one_watches(app, session, book, browse):
    page = browse("finance")
    page.goto("/billing/migration")
    page.get_by_role("button", name="Preview all steps").click()
    expect(page.get_by_text("All steps are running")).to_be_visible()
    with a_worker(app):
        expect(page.get_by_role("button", name="Preview all steps")).to_be_visible(timeout=90_000)
    assert meters_of("P-A") == {"P-A": None}
    checks = page.get_by_role("region", name="Results of the checks")
    found = checks.get_by_role("row").filter(has_text="Payments without a meter")
    expect(found).to_contain_text("Error")
    whole = page.get_by_role("region", name="Preview of all steps")
    expect(whole).to_contain_text("Gross total")
    whole.get_by_role("link", name="Review and apply all changes").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Migration, all steps")
    page.get_by_label("Reason").fill("The legacy book")
    with a_worker(app):
        page.get_by_role("button", name="Apply these changes").click()
        expect(page.locator("#run-heading")).to_have_text("Done", timeout=30_000)
    assert meters_of("P-A") == {"P-A": "M-A"}
    page.goto("/billing/migration")
    expect(whole).to_contain_text("applied by run")


def test_everything_works_without_javascript(app, session, book, browse):
    page = browse("finance", java_script_enabled=False)
    page.goto("/billing/migration")
    step(page, "Give payments their meters").get_by_role("button", name="Preview").click()
    expect(page.get_by_role("link", name="Load again")).to_be_visible()
    [(run_id,)] = db.session.query(Run.id).all()
    db.session.rollback()
    perform(db.engine, run_id)
    page.get_by_role("link", name="Load again").click()
    expect(step(page, "Give payments their meters")).to_contain_text("Would be done")


def test_the_screen_in_every_look(session, book, every_look):
    migrated()
    a_payment("P-C", session.query(Customer).filter_by(code="A").one())
    session.commit()
    migrated(dry_run=True)
    every_look({"billing-migration": "/billing/migration", "migrated": "/billing/migration/runs/3"})
