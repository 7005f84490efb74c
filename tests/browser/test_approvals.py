"""The card of a verb and its approval in a real browser: both languages, light and dark, wide and narrow."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from backoffice.app.extensions import db
from backoffice.billing.models import Payment
from backoffice.runs.models import Run
from backoffice.runs.working import perform
from tests.approvals.cases import a_book
from tests.browser.looks import LANGUAGES

Browse = Callable[..., Page]


def meter_of(session: Any, reference: str) -> Any:
    session.rollback()
    return session.scalars(select(Payment.meter_id).where(Payment.reference == reference)).one()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_payment_is_taken_off_after_a_second_person_has_looked(
    app: Flask, session: Any, browse: Browse, axe: Callable[..., None], script: bool
) -> None:
    a_book(session)
    app.config["APPROVAL_ABOVE_AMOUNT"] = Decimal(100)
    page = browse("finance", java_script_enabled=script)
    page.goto("/billing/payments/P-A")
    page.get_by_role("button", name="Take off part 1").click()
    expect(page.get_by_text("a second person will have to approve it")).to_be_visible()
    page.get_by_label("Reason").fill("It is Budi's")
    page.get_by_role("button", name="Ask for approval").click()
    expect(page.locator("#run-heading")).to_have_text("Waits for approval")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    assert meter_of(session, "P-A") is not None

    second = browse("finance")
    second.goto("/runs?status=awaiting-approval")
    second.locator(".row-link").click()
    expect(second.get_by_text("It is Budi's").first).to_be_visible()
    expect(second.locator(".items-table")).to_contain_text("P-A")
    second.mouse.move(0, 0)
    axe(second)
    second.get_by_role("button", name="Approve").click()
    expect(second.locator("#run-heading")).to_have_text("Queued")
    [run_id] = session.scalars(select(Run.id))
    session.rollback()
    perform(db.engine, run_id)
    expect(second.locator("#run-heading")).to_have_text("Done")
    assert meter_of(session, "P-A") is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_card_and_what_waits_in_every_look(
    app: Flask, session: Any, browse: Browse, is_sound: Callable[..., None], language: str
) -> None:
    book = a_book(session)
    page = browse("finance", language=language)
    page.goto("/billing/meters/M-A/reassign")
    page.locator("#customer").fill("BUDI")
    page.locator("#since").fill("2026-04-01")
    page.keyboard.press("Control+s")
    expect(page.locator("#change-card")).to_be_visible()
    is_sound(page, "approvals-card")
    page.locator("#change-card button[type=submit]").click()
    expect(page.locator("[data-error-summary]")).to_be_visible()
    is_sound(page, "approvals-refused")
    app.config["APPROVAL_ABOVE_COUNT"] = 0
    page.goto("/billing/unmatched")
    page.locator("form[action*='match-sure'] button, button[formaction*='match-sure']").last.click()
    expect(page.locator("#change-card")).to_be_visible()
    is_sound(page, "approvals-above")
    page.locator("#card-reason").fill("March")
    page.locator("#change-card button[type=submit]").click()
    expect(page.locator("#run-heading")).to_be_visible()
    is_sound(page, "approvals-waiting")
    assert book
    other = browse("finance", language=language)
    other.goto(page.url)
    is_sound(other, "approvals-approver")
