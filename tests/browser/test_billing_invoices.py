"""Invoices, statements and the ageing in a real browser: the amount is updated on every keystroke."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest
from playwright.sync_api import Error, Page, expect

from backoffice.base import periods
from backoffice.billing.models import Invoice, Meter
from tests.browser.hands import hold_the_first
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory

Browse = Callable[..., Page]
EveryLook = Callable[[dict[str, str]], None]


@pytest.fixture
def invoice(session: Any) -> Invoice:
    """INV-1 of Wanjiru on M-1: 12.5 units at 100 and 250, 600 of it paid; M-2 is Otieno's."""
    wanjiru = CustomerFactory(code="C-1", name="Wanjiru")
    own = MeterAssignmentFactory(meter=MeterFactory(number="M-1"), customer=wanjiru).meter
    MeterAssignmentFactory(
        meter=MeterFactory(number="M-2"), customer=CustomerFactory(code="C-2", name="Otieno")
    )
    day = periods.today() - timedelta(days=40)
    made = InvoiceFactory(
        number="INV-1", meter=own, customer=wanjiru, issued_on=day, due_on=day + timedelta(days=30)
    )
    of = {"meter": own, "customer": wanjiru}
    PaymentFactory(reference="PAY-1", invoice=made, amount=600, paid_on=day, **of)
    MeterAdjustmentFactory(number="ADJ-1", adjusted_on=day, **of)
    InvoiceFactory(number="INV-2", status="void", void_reason="Read twice", **of)
    InvoiceFactory(number="OLD-1", customer=wanjiru)
    session.commit()
    return made


def amount(page: Page) -> Any:
    return page.locator("#invoice-amount .figure-big")


def balances(session: Any) -> dict[str, tuple[Any, Any]]:
    session.rollback()
    return {m.number: (m.balance, m.overpayment) for m in session.query(Meter)}


def test_an_invoice_is_entered_by_keyboard_with_its_amount_live(
    browse: Browse, session: Any, invoice: Invoice
) -> None:
    page = browse("finance")
    page.goto("/billing/invoices")
    page.get_by_role("link", name="New invoice").click()
    expect(page.get_by_label("Customer")).to_be_focused()
    page.keyboard.type("C-2 · Otieno")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Meter", exact=True)).to_have_value("M-2")
    page.get_by_label("Units", exact=True).press_sequentially("12.5", delay=30)
    page.get_by_label("Rate", exact=True).press_sequentially("100", delay=30)
    expect(amount(page)).to_have_text("Rp 1,250.00")
    expect(page.locator("#usage")).to_have_text("1,250.00")
    page.get_by_label("Fixed charge").fill("250")
    expect(amount(page)).to_have_text("Rp 1,500.00")
    page.get_by_label("Units", exact=True).fill("")
    expect(page.locator("#invoice-amount")).to_contain_text("Enter the units that the rate is for")
    page.get_by_label("Units", exact=True).fill("20")
    expect(amount(page)).to_have_text("Rp 2,250.00")
    page.keyboard.press("Control+s")
    page.wait_for_url(f"**/billing/invoices/INV-{periods.today().year}-00001")
    expect(page.locator(".record-total")).to_contain_text("Rp 2,250.00")
    assert balances(session)["M-2"] == (2250, 0)


def test_another_day_of_issue_moves_the_due_date_until_a_user_types_one(
    browse: Browse, invoice: Invoice
) -> None:
    page = browse("finance")
    page.goto("/billing/invoices/new?customer=C-1")
    issued, due = page.get_by_label("Issued"), page.get_by_label("Due")
    issued.fill("2026-03-01")
    issued.blur()
    expect(due).to_have_value("2026-03-31")
    due.fill("2026-05-05")
    issued.fill("2026-04-01")
    with page.expect_response("**/proposals?after=issued_on"):
        issued.blur()
    expect(due).to_have_value("2026-05-05")


def test_a_slow_earlier_answer_never_wins(browse: Browse, invoice: Invoice) -> None:
    page = browse("finance")
    page.goto("/billing/invoices/INV-1/edit")
    units = page.get_by_label("Units", exact=True)
    held = hold_the_first(page, "**/billing/invoices/preview")
    with page.expect_request("**/billing/invoices/preview"):
        units.fill("111")
    units.fill("20")
    expect(amount(page)).to_have_text("Rp 2,250.00")
    token = page.locator('meta[name="csrf-token"]').get_attribute("content") or ""
    typed = {"units": "111", "rate": "100", "csrf_token": token}
    answer = page.request.post("/billing/invoices/preview", form=typed)
    assert "11,100.00" in answer.text()
    with suppress(Error):  # the browser may have cancelled that request, which is as good
        held[0].fulfill(status=200, content_type="text/html", body=answer.text())
    page.get_by_label("Fixed charge").fill("0")
    expect(amount(page)).to_have_text("Rp 2,000.00")


def test_what_is_wrong_is_said_at_once_and_the_input_is_kept(
    browse: Browse, invoice: Invoice, axe: Callable[[Page], None]
) -> None:
    page = browse("finance")
    page.goto("/billing/invoices/INV-1/edit")
    page.get_by_label("Units", exact=True).fill("1")
    page.keyboard.press("Control+s")
    summary = page.locator("[data-error-summary]")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("Payments of Rp 600.00 name this invoice")
    expect(page.get_by_label("Units", exact=True)).to_have_value("1")
    axe(page)


def test_two_editors_see_what_the_other_one_did(
    browse: Browse, session: Any, invoice: Invoice, axe: Callable[[Page], None]
) -> None:
    mine, theirs = browse("finance"), browse("admin")
    mine.goto("/billing/invoices/INV-1/edit")
    theirs.goto("/billing/invoices/INV-1/edit")
    theirs.get_by_label("Rate", exact=True).fill("110")
    theirs.keyboard.press("Control+s")
    theirs.wait_for_url("**/billing/invoices/INV-1")
    mine.get_by_label("Units", exact=True).fill("20")
    mine.keyboard.press("Control+s")
    expect(mine.get_by_role("alert").first).to_contain_text("after you opened it")
    axe(mine)
    mine.keyboard.press("Control+s")
    mine.wait_for_url("**/billing/invoices/INV-1")
    session.rollback()
    session.refresh(invoice)
    assert (invoice.units, invoice.rate, invoice.amount) == (20, 110, 2450)


def test_an_invoice_is_voided_with_a_reason(
    browse: Browse, session: Any, invoice: Invoice, axe: Callable[[Page], None]
) -> None:
    page = browse("finance")
    page.goto("/billing/invoices/INV-1")
    page.get_by_role("link", name="Void").click()
    expect(page.get_by_label("Reason")).to_be_focused()
    axe(page)
    page.keyboard.type("Read twice")
    page.get_by_role("button", name="Make void").click()
    page.wait_for_url("**/billing/invoices/INV-1")
    expect(page.get_by_text("Reason: Read twice")).to_be_visible()
    expect(page.get_by_role("link", name="Edit")).to_have_count(0)
    assert balances(session)["M-1"] == (0, 500)


def test_an_invoice_is_moved_with_its_payment(
    browse: Browse, session: Any, invoice: Invoice, axe: Callable[[Page], None]
) -> None:
    page = browse("finance")
    page.goto("/billing/invoices/INV-1")
    page.get_by_role("link", name="Move to another meter").click()
    expect(page.get_by_label("Take the payments that name it along")).to_be_checked()
    axe(page)
    page.get_by_label("Meter", exact=True).fill("M-2")
    page.get_by_role("button", name="Move to another meter").click()
    page.wait_for_url("**/billing/invoices/INV-1")
    expect(page.get_by_text("Invoice INV-1 and 1 payment are on meter M-2 now.")).to_be_visible()
    assert balances(session) == {"M-1": (100, 0), "M-2": (900, 0)}


def test_j_and_k_walk_through_the_filtered_list(browse: Browse, invoice: Invoice) -> None:
    page = browse("viewer")
    page.goto("/billing/invoices?status=unpaid&sort=number")
    page.get_by_role("link", name="INV-1", exact=True).click()
    page.wait_for_url("**/billing/invoices/INV-1?status=unpaid&sort=number")
    page.keyboard.press("j")
    page.wait_for_url("**/billing/invoices/OLD-1?status=unpaid&sort=number")
    page.keyboard.press("k")
    page.wait_for_url("**/billing/invoices/INV-1?status=unpaid&sort=number")


def test_a_printed_statement_has_the_company_the_customer_and_the_period_and_no_buttons(
    browse: Browse, invoice: Invoice
) -> None:
    page = browse("finance")
    page.goto("/billing/customers/C-1/statement?period=all")
    expect(page.locator(".letterhead-title")).to_be_hidden()
    page.get_by_role("link", name="Print").click()
    page.wait_for_url("**print=1**")
    page.emulate_media(media="print")
    expect(page.locator(".letterhead-title")).to_have_text("Statement of account")
    expect(page.locator(".letterhead-title")).to_be_visible()
    expect(page.locator(".letterhead-company")).to_have_text("Backoffice")
    facts = page.locator(".statement-facts")
    expect(facts).to_contain_text("Wanjiru")
    expect(facts.get_by_text("All documents up to")).to_be_visible()
    expect(facts.get_by_text("Everything")).to_be_hidden()
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    expect(page.locator(".sidebar")).to_be_hidden()
    expect(page.locator(".page-head")).to_be_hidden()
    rows = page.locator(".statement-table tbody tr")
    expect(rows).to_have_count(4)
    expect(page.locator(".statement-table tfoot")).to_contain_text("1,000.00")
    for name in (".statement-tie", ".statement-uncounted"):
        expect(page.locator(name)).to_have_count(1)
        expect(page.locator(name)).to_be_hidden()
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_a_statement_leads_to_its_documents(browse: Browse, invoice: Invoice) -> None:
    page = browse("finance")
    page.goto("/billing/customers/C-1/statement")
    page.get_by_role("link", name="Everything").click()
    page.wait_for_url("**period=all")
    expect(page.locator(".statement-head .figure-big")).to_have_text("Rp 1,000.00")
    expect(page.get_by_role("heading", name="Not counted yet")).to_be_visible()
    page.get_by_label("From").fill("2001-01-01")
    page.get_by_label("to", exact=True).fill("2001-12-31")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No document in these days.")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="INV-1", exact=True).first.click()
    page.wait_for_url("**/billing/invoices/INV-1")


def test_the_ageing_leads_to_the_documents_behind_an_amount(
    browse: Browse, invoice: Invoice
) -> None:
    page = browse("finance")
    page.goto("/billing/ageing")
    expect(page.get_by_text("That is exactly the sum of the stored balances")).to_be_visible()
    page.get_by_label("By", exact=True).select_option("meter")
    expect(page.get_by_role("link", name="M-1")).to_be_visible()
    page.locator("tbody").get_by_role("link", name="900.00").click()
    page.wait_for_url("**/billing/ageing/documents?**")
    expect(page.get_by_role("link", name="INV-1", exact=True)).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="M-1").click()
    page.wait_for_url("**/billing/meters/M-1/statement?**")


def test_every_page_is_accessible_and_fits(invoice: Invoice, every_look: EveryLook) -> None:
    addresses = (
        "invoices", "invoices/new", "invoices/INV-1", "invoices/INV-2", "invoices/INV-1/edit",
        "invoices/INV-1/history", "invoices/INV-1/calculation/amount", "invoices/INV-1/calculation/paid",
        "customers/C-1/statement?period=all", "meters/M-1/statement", "ageing", "ageing?by=meter",
    )  # fmt: skip
    every_look({f"billing-{re.sub(r'[^A-Za-z0-9]', '-', a)}": f"/billing/{a}" for a in addresses})


def test_nothing_of_it_needs_javascript(browse: Browse, session: Any, invoice: Invoice) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto("/billing/invoices/new?customer=C-1&meter=M-1")
    page.locator("#units").fill("2")
    page.locator("#rate").fill("50")
    page.locator("#fixed_charge").fill("")
    page.locator("#issued_on").fill(date(2026, 3, 1).isoformat())
    page.get_by_role("button", name="Recalculate").click()
    expect(amount(page)).to_have_text("Rp 100.00")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".record-total")).to_contain_text("Rp 100.00")
    assert balances(session)["M-1"] == (1100, 0)
