"""Schedules in a real browser: the list of scheduled work, running one now, and the screen in every look."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect
from sqlalchemy import func

from backoffice.app.extensions import db
from backoffice.runs import actions
from backoffice.runs.models import DONE, FAILED
from backoffice.schedules import scheduler
from backoffice.schedules.catalog import SCHEDULES
from backoffice.schedules.models import KnownSchedule
from tests.browser.looks import LANGUAGES


def every_state(session):
    """Schedules in every state: on time, failed, waiting, overdue, missed."""
    since = datetime.now(UTC) - timedelta(days=200)
    session.add_all(KnownSchedule(name=s.name, known_since=since) for s in SCHEDULES)
    for name, kind, status in (
        ("balance-health", "figures.verify", DONE),
        ("database-routine", "database.routine", FAILED),
    ):
        run = actions.request(session, kind, {}, schedule=name)
        run.status, run.finished_at = status, func.now()
        session.flush()
    actions.request(session, "audit.seal", {})
    session.commit()
    scheduler.look(db.engine)


def row(page, title):
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=title))


def test_a_schedule_is_run_now_and_its_run_is_shown(session, browse, axe):
    page = browse("finance")
    page.goto("/runs")
    page.get_by_role("navigation", name="Health").get_by_role("link", name="Schedules").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Schedules")
    nightly = row(page, "Verify every figure and heal")
    expect(nightly).to_contain_text("every night at 02:00")
    expect(nightly).to_contain_text("never")
    nightly.get_by_role("button", name="Run now").click()
    expect(page).to_have_url(re.compile(r"/runs/\d+$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Run")
    number = page.url.rsplit("/", 1)[-1]
    page.goto("/schedules")
    expect(row(page, "Verify every figure and heal")).to_contain_text("never"), "only shown so far"
    row(page, "Balance health").get_by_role("button", name="Run now").click()
    expect(page).to_have_url(re.compile(r"/runs/\d+$"))
    number = page.url.rsplit("/", 1)[-1]
    page.goto("/schedules")
    row(page, "Balance health").get_by_role("link", name=f"Run {number}").click()
    expect(page).to_have_url(re.compile(rf"/runs/{number}$"))


def test_what_is_under_way_already_is_not_started_again(session, browse):
    page = browse("finance")
    page.goto("/schedules")
    row(page, "Monthly rebuild").get_by_role("button", name="Run now").click()
    expect(page).to_have_url(re.compile(r"/runs/\d+$"))
    number = page.url.rsplit("/", 1)[-1]
    page.goto("/schedules")
    row(page, "Weekly full recalculation").get_by_role("button", name="Run now").click()
    expect(page).to_have_url(re.compile(rf"/runs/{number}$"))
    expect(page.get_by_text("nothing further was started")).to_be_visible()


def test_everything_works_without_javascript(session, browse):
    page = browse("finance", java_script_enabled=False)
    page.goto("/schedules")
    row(page, "Balance health").get_by_role("button", name="Run now").click()
    expect(page).to_have_url(re.compile(r"/runs/\d+$"))


def test_a_viewer_looks_and_is_offered_nothing_to_start(session, browse, axe):
    page = browse("viewer")
    page.goto("/schedules")
    expect(page.get_by_text("No scheduler is at work")).to_be_visible()
    expect(page.get_by_role("button", name="Run now")).to_have_count(0)
    axe(page)


def test_the_screen_in_every_look(session, browse, is_sound):
    every_state(session)
    for language in LANGUAGES:
        page = browse("finance", language=language)
        page.goto("/schedules")
        expect(page.get_by_role("row")).to_have_count(len(SCHEDULES) + 2)
        is_sound(page, "schedules")
