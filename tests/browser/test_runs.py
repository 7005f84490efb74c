"""Runs and reconciliations in a real browser: from progress to applying to a second user's approval."""

import itertools

import psycopg
import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.base.actor import acting_as
from backoffice.customers.models import Customer
from backoffice.runs import actions, working
from backoffice.runs.models import Run
from tests.browser.looks import LANGUAGES
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import UserFactory
from tests.runs.balances import domains  # noqa: F401 (a fixture)


def customers(session, *names):
    for name in names:
        CustomerFactory(name=name, city="Broken" if name == "Broken" else "Jakarta")
    session.commit()


def ask(session, by, **asked):
    with acting_as(f"user:{by.id}"):
        run = actions.request(db.session(), "test.balances", {}, is_paced=False, **asked)
        session.commit()
    return run.id


def perform(run_id, chunks=None):
    """Perform a whole run, or its plan and that many chunks, as a worker would."""
    tried = itertools.count()
    stopping = (lambda: next(tried) > chunks) if chunks is not None else (lambda: False)
    working.perform(db.engine, run_id, stopping=stopping)


def two_people(session):
    people = UserFactory(name="Ana Asker"), UserFactory(name="Budi Second")
    session.commit()
    return people


def test_from_progress_to_apply_to_a_second_persons_approval(app, session, browse, axe):
    app.config["APPROVAL_ABOVE_COUNT"] = 2
    ana, budi = two_people(session)
    customers(session, "Ana", "Budi", "Citra", "Dewi", "Eka")
    run_id = ask(session, ana, dry_run=True)

    page = browse(ana)
    page.goto(f"/runs/{run_id}")
    status = page.locator("#run-heading")
    expect(status).to_have_text("Queued")
    perform(run_id, chunks=1)
    expect(page.get_by_text("2 of 5 looked at")).to_be_visible()
    expect(status).to_have_text("Running")
    expect(page.get_by_role("progressbar", name="Progress")).to_have_attribute("value", "2")
    axe(page)
    perform(run_id)
    expect(status).to_have_text("Done")
    expect(page.locator("#run[hx-trigger]")).to_have_count(0)
    expect(page.locator(".items-table tbody tr")).to_have_count(5)
    expect(page.get_by_text("a second person will have to approve it")).to_be_visible()
    axe(page)

    page.get_by_role("button", name="Apply these changes").click()
    expect(page.locator("[data-error-summary]")).to_contain_text("Say why")
    page.get_by_label("Reason").fill("Recount of November")
    page.get_by_role("button", name="Apply these changes").click()
    expect(page.locator("#run-heading")).to_have_text("Waits for approval")
    expect(page.get_by_text("you cannot approve it")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    axe(page)

    second = browse(budi)
    second.goto("/runs?status=awaiting-approval")
    second.locator(".row-link").click()
    expect(second.get_by_text("Ana Asker asks for your approval")).to_be_visible()
    axe(second)
    second.get_by_role("button", name="Approve").click()
    expect(second.locator("#run-heading")).to_have_text("Queued")

    [waiting] = session.scalars(select(Run.id).where(Run.follows == run_id))
    session.rollback()
    perform(waiting)
    for window in (page, second):
        expect(window.locator("#run-heading")).to_have_text("Done")
        expect(window.locator(".items-table tbody tr")).to_have_count(5)
    session.rollback()
    assert set(session.scalars(select(Customer.phone).where(Customer.name == "Ana"))) == {
        "3000000.00"
    }


def test_cancelling_asks_first_and_retrying_does_the_rest(session, browse):
    ana, _ = two_people(session)
    customers(session, "Ana", "Budi", "Citra")
    run_id = ask(session, ana, dry_run=True)
    perform(run_id, chunks=1)
    page = browse(ana)
    page.goto(f"/runs/{run_id}")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_text(f"Run {run_id} is stopped")).to_be_visible()
    expect(page.locator("#run-heading")).to_have_text("Cancelled")  # no worker holds it
    page.get_by_role("button", name="Retry what is left").click()
    expect(page.get_by_role("link", name=f"Run {run_id}")).to_be_visible()


def test_everything_works_without_javascript(app, session, browse):
    ana, _ = two_people(session)
    customers(session, "Ana", "Budi")
    run_id = ask(session, ana, dry_run=True)
    page = browse(ana, java_script_enabled=False)
    page.goto(f"/runs/{run_id}")
    perform(run_id)
    page.get_by_role("link", name="Load again").click()
    expect(page.locator("#run-heading")).to_have_text("Done")
    page.get_by_label("Reason").fill("Recount")
    page.get_by_role("button", name="Apply these changes").click()
    expect(page.locator("#run-heading")).to_have_text("Queued")
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#run-heading")).to_have_text("Cancelled")
    page.goto("/reconciliation")
    page.get_by_label("Figure").select_option("orders.grand_total")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#results").get_by_text("Ties out")).to_be_visible()


def tampered(admin_database_url):
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE orders SET grand_total = grand_total + 12345.67 WHERE id <= 3")


def test_a_figure_is_compared_and_its_file_downloaded(session, browse, admin_database_url):
    for _ in range(5):
        OrderFactory()
    session.commit()
    tampered(admin_database_url)
    page = browse("finance")
    page.goto("/reconciliation")
    page.get_by_label("Figure").select_option("orders.grand_total")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("3 rows are wrong")).to_be_visible()
    expect(page.locator(".totals-table")).to_contain_text("-37,037.01")
    page.get_by_text("Every row as a file").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV", exact=True).click()
    assert download.value.suggested_filename.startswith("reconciliation-orders.grand_total-")
    page.get_by_role("textbox", name="Record").fill("SO-99")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no SO-99")
    figures.heal(db.engine)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_screen_is_sound_in_every_look(
    language, app, session, browse, is_sound, admin_database_url
):
    app.config["APPROVAL_ABOVE_COUNT"] = 2
    page = browse("finance", language=language)

    page.goto("/runs")
    expect(page.locator(".empty-state")).to_be_visible()
    is_sound(page, "runs-none")
    page.goto("/reconciliation")
    expect(page.locator(".empty-state")).to_be_visible()
    is_sound(page, "runs-no-reports")

    ana, _ = two_people(session)
    customers(session, "Ana", "Broken", "Citra", "Dewi", "Perusahaan Gas Negara Tbk")
    for _ in range(3):
        OrderFactory()
    session.commit()
    tampered(admin_database_url)
    run_id = ask(session, ana, dry_run=True, reason="Recount of November")
    perform(run_id, chunks=1)
    page.goto(f"/runs/{run_id}")
    expect(page.locator("progress")).to_be_visible()
    is_sound(page, "runs-live")
    perform(run_id)
    expect(page.locator("#apply-heading")).to_be_visible()
    expect(page.locator(".items-table tbody tr")).to_have_count(8)  # includes the orders' customers
    is_sound(page, "runs-found")
    page.locator("form[action$=apply] button").click()
    expect(page.locator("[data-error-summary]")).to_be_visible()
    is_sound(page, "runs-refused")
    page.get_by_role("textbox").last.fill("x")
    page.locator("form[action$=apply] button").click()
    expect(page.locator("#run .notice")).to_be_visible()
    is_sound(page, "runs-waiting")
    page.goto("/runs")
    expect(page.locator("table .row-link")).to_have_count(2)
    is_sound(page, "runs-list")

    with acting_as("schedule:nightly"):
        made = actions.request(db.session(), "reconciliation.nightly", {}, is_paced=False).id
        session.commit()
    perform(made)
    page.goto("/reconciliation?figure=orders.grand_total")
    expect(page.locator("#differences-heading")).to_be_visible()
    is_sound(page, "runs-compared")
    page.goto("/reconciliation/kept")
    expect(page.locator("table .row-link")).to_have_count(len(figures.registry.figures))
    is_sound(page, "runs-kept")
    page.locator("table .row-link").first.click()
    expect(page.locator(".report-digest")).to_be_visible()
    is_sound(page, "runs-report")
    figures.heal(db.engine)
