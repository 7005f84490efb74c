"""Meters in a real browser: a meter is reassigned, an adjustment is posted and voided, and every screen is sound."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from backoffice.customers.models import Customer
from tests.billing.meters import meter_of
from tests.browser.looks import LANGUAGES
from tests.factories.billing import InvoiceFactory, MeterAdjustmentFactory, PaymentFactory
from tests.factories.customers import CustomerFactory

Browse = Callable[..., Page]


@pytest.fixture
def company(session: Any) -> None:
    """RINA owes 1,100 on M-1 and paid 250 too much on M-2; M-3 was formerly hers; BUDI has nothing."""
    rina = CustomerFactory(code="RINA", name="Rina Wijaya")
    CustomerFactory(code="BUDI", name="Budi Santoso")
    owing = meter_of(rina, "M-1", owed=1500, paid=400, assigned_from=date(2026, 1, 1))
    owing.meter.description = "Jl. Sudirman 1, second yard, behind the workshop"
    meter_of(rina, "M-2", owed=100, paid=350)
    meter_of(rina, "M-3", owed=7000, is_active=False)
    InvoiceFactory(
        meter=owing.meter, customer=rina, amount=90, units=None, rate=None, status="void"
    )
    PaymentFactory(customer=rina, reference="UNMATCHED", amount=70)
    voided = {"status": "void", "void_reason": "Of another meter"}
    MeterAdjustmentFactory(number="ADJ-1", meter=owing.meter, customer=rina, amount=50, **voided)
    session.commit()


def owed(session: Any) -> dict[str, tuple[int, int]]:
    """Balance and overpayment of every customer, as stored."""
    session.rollback()
    rows = session.execute(select(Customer.code, Customer.balance, Customer.overpayment))
    return {code: (int(balance), int(overpayment)) for code, balance, overpayment in rows}


@pytest.mark.usefixtures("company")
def test_a_meter_is_reassigned_and_both_customers_are_right_at_once(
    browse: Browse, session: Any
) -> None:
    page = browse("finance")
    page.goto("/billing/meters?q=sudirman")
    page.get_by_role("link", name="M-1", exact=True).click()
    page.get_by_role("link", name="Reassign").click()
    expect(page.get_by_label("Customer")).to_be_focused()
    page.keyboard.type("budi")
    expect(page.locator("#customer-options option")).to_have_count(1)
    page.get_by_label("From").fill("2026-04-01")
    page.keyboard.press("Control+s")
    expect(page.get_by_role("heading", name="What it will change")).to_be_visible()
    assert owed(session)["BUDI"] == (0, 0)
    page.get_by_label("Reason").fill("Moved in on 1 April")
    page.keyboard.press("Control+s")

    page.wait_for_url("**/billing/meters/M-1")
    expect(page.get_by_text("Meter M-1 is assigned to BUDI · Budi Santoso.")).to_be_visible()
    owner = page.get_by_role("region", name="Assignments")
    expect(owner.locator("tbody tr").nth(0)).to_contain_text("since 1 Apr 2026")
    expect(owner.locator("tbody tr").nth(1)).to_contain_text("1 Jan 2026 – 31 Mar 2026")
    assert owed(session) == {"RINA": (0, 250), "BUDI": (1100, 0)}

    page.goto("/customers/BUDI")
    meters = page.get_by_role("region", name="Meters")
    expect(meters).to_contain_text("Owing")
    expect(meters.locator(".key-figures")).to_contain_text("1,100.00")
    page.goto("/customers/RINA")
    expect(meters.locator(".key-figures")).to_contain_text("250.00")
    expect(meters).to_contain_text("Inactive, not counted")


@pytest.mark.usefixtures("company")
def test_from_the_customer_to_the_documents_it_is_two_clicks(browse: Browse) -> None:
    page = browse("viewer")
    page.goto("/customers/RINA")
    page.get_by_role("link", name="How was this calculated? Balance").click()
    page.get_by_role("link", name="M-1", exact=True).click()
    expect(page.get_by_role("region", name="Invoiced")).to_contain_text("INV-M-1")
    expect(page.get_by_role("region", name="Paid")).to_contain_text("PAY-M-1")


@pytest.mark.usefixtures("company")
def test_deactivating_asks_first_and_what_cannot_be_is_said(browse: Browse, session: Any) -> None:
    page = browse("finance")
    page.goto("/billing/meters/M-1")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Deactivate").click()
    expect(page.get_by_text("Active", exact=True).first).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Deactivate").click()
    expect(page.get_by_text("Meter M-1 has no customer.")).to_be_visible()
    assert owed(session)["RINA"] == (0, 250)
    page.get_by_role("link", name="Assign", exact=True).click()
    page.get_by_role("combobox", name="Customer").fill("BUDI")
    page.get_by_role("button", name="Assign").click()
    expect(page.locator(".error-summary")).to_contain_text("Correct one of the two")
    page.get_by_label("From").fill("2025-01-01")
    page.get_by_label("Until").fill("2025-12-31")
    page.get_by_role("button", name="Assign").click()
    page.wait_for_url("**/billing/meters/M-1")
    assert owed(session) == {"RINA": (0, 250), "BUDI": (1100, 0)}


@pytest.mark.usefixtures("company")
def test_an_adjustment_is_posted_by_keyboard_and_voided(browse: Browse, session: Any) -> None:
    page = browse("finance")
    page.goto("/billing/meters/M-1")
    page.get_by_role("link", name="Adjust", exact=True).click()
    expect(page.get_by_label("Amount")).to_be_focused()
    page.keyboard.type("-100")
    page.keyboard.press("Control+s")
    expect(page.locator(".error-summary")).to_contain_text("Say why, in a few words.")
    page.get_by_label("Reason").fill("Goodwill")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/billing/meters/M-1")
    assert owed(session)["RINA"] == (1000, 250)
    adjustments = page.get_by_role("region", name="Adjustments")
    expect(adjustments).to_contain_text("Goodwill")
    adjustments.get_by_role("link", name="ADJ-2026-00001").click()
    page.get_by_role("link", name="Make void").click()
    page.get_by_label("Reason").fill("It was another meter's")
    page.get_by_role("button", name="Make void").click()
    expect(page.get_by_text("Adjustment ADJ-2026-00001 is void.")).to_be_visible()
    assert owed(session)["RINA"] == (1100, 250)


@pytest.mark.usefixtures("company")
def test_every_screen_of_meters_is_sound_in_every_look(
    browse: Browse, is_sound: Callable[[Page, str], None], every_look: Callable[..., None]
) -> None:
    screens = {
        "list": "/billing/meters",
        "nothing": "/billing/meters?q=nothing",
        "record": "/billing/meters/M-1",
        "inactive": "/billing/meters/M-3",
        "new": "/billing/meters/new",
        "edit": "/billing/meters/M-1/edit",
        "assign": "/billing/meters/M-3/assign",
        "reassign": "/billing/meters/M-1/reassign",
        "end": "/billing/meters/M-1/assignments/1/end",
        "days": "/billing/meters/M-1/assignments/1/days",
        "adjust": "/billing/adjustments/new?meter=M-1",
        "adjustments": "/billing/adjustments",
        "adjustment": "/billing/adjustments/ADJ-1",
        "adjustment-void": "/billing/adjustments/ADJ-1/void",
        "adjustment-history": "/billing/adjustments/ADJ-1/history",
        "calculation": "/billing/meters/M-1/calculation",
        "history": "/billing/meters/M-1/history",
        "customer": "/customers/RINA",
        "customer-calculation": "/billing/customers/RINA/calculation/balance",
        "merge": "/customers/merge?survivor=BUDI&duplicate=RINA",
        "kept": "/customers/RINA/delete",
        "today": "/today",
    }
    every_look({f"meters-{name}": path for name, path in screens.items()})
    refused = (
        ("new-refused", "/billing/meters/new", "#meter-form"),
        ("reassign-refused", "/billing/meters/M-1/reassign", "#assignment-form"),
        ("adjust-refused", "/billing/adjustments/new?meter=M-1", "#meteradjustment-form"),
    )
    for language in LANGUAGES:
        page = browse("finance", language=language)
        for name, path, form in refused:
            page.goto(path)
            page.locator(f"{form} button[type=submit]").click()
            expect(page.locator(".error-summary")).to_be_visible()
            is_sound(page, f"meters-{name}")
