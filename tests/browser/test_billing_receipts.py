"""Receipts corrected, statements printed, and the documents of the ageing, in a real browser."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from backoffice.base import periods
from backoffice.billing.models import Invoice, Payment
from backoffice.billing.payments import actions
from backoffice.billing.payments.allocation import Part
from backoffice.customers.models import Customer
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory

Browse = Callable[..., Page]

RECEIPT = "/billing/payments/BANK-77"


@pytest.fixture
def customer(session: Any) -> Customer:
    """Alfreds with forty invoices on M-A; BANK-77 of 130.00 in cash pays the oldest, and 30.00 of the next."""
    found = CustomerFactory(code="ALFKI", name="Alfreds Futterkiste")
    meter = MeterAssignmentFactory(customer=found, meter=MeterFactory(number="M-A")).meter
    first = periods.today() - timedelta(days=400)
    for number in range(40):
        day = first + timedelta(days=number * 10)
        InvoiceFactory(
            number=f"A-{number:04}", customer=found, meter=meter, units=None, rate=None, fixed_charge=0,
            amount=Decimal(100), issued_on=day, due_on=day + timedelta(days=14),
        )  # fmt: skip
    session.flush()
    oldest = session.scalars(select(Invoice.id).order_by(Invoice.issued_on).limit(2)).all()
    parts = (Part(Decimal(100), invoice_id=oldest[0]), Part(Decimal(30), invoice_id=oldest[1]))
    entry = actions.ReceiptEntry(found.id, date(2026, 4, 1), Decimal(130), "cash", parts, "BANK-77")
    actions.record(session, entry)
    session.commit()
    made: Customer = found
    return made


def receipts(session: Any) -> dict[str, tuple[str, date, Decimal]]:
    session.rollback()
    found: dict[str, tuple[str, date, Decimal]] = {}
    for part in session.scalars(select(Payment).order_by(Payment.id)):
        before = found.get(part.reference, ("", part.paid_on, Decimal(0)))[2]
        found[part.reference] = (part.status, part.paid_on, before + part.amount)
    return found


def test_a_wrong_day_costs_a_few_keys(browse: Browse, session: Any, customer: Customer) -> None:
    page = browse("finance")
    page.goto(RECEIPT)
    page.keyboard.press("e")
    page.wait_for_url(f"**{RECEIPT}/replace")
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.type("Wrong day")
    for _field in range(3):
        page.keyboard.press("Tab")
    expect(page.locator("#paid_on")).to_be_focused()
    page.locator("#paid_on").fill("2026-04-02")
    page.keyboard.press("Control+s")
    page.wait_for_url("**/billing/payments/BANK-77?recorded=1")
    expect(page.get_by_text("Recorded in place of")).to_be_visible()
    assert receipts(session) == {
        "BANK-77 (void 1)": ("void", date(2026, 4, 1), Decimal(130)),
        "BANK-77": ("posted", date(2026, 4, 2), Decimal(130)),
    }
    page.get_by_role("link", name="BANK-77 (void 1)", exact=True).click()
    expect(page.get_by_text("Reason: Wrong day")).to_be_visible()


def test_a_wrong_amount_is_shared_out_anew_and_cancelled_it_stays(
    browse: Browse, session: Any, customer: Customer
) -> None:
    page = browse("finance")
    page.goto(f"{RECEIPT}/replace")
    second = page.get_by_label("A-0001", exact=True)
    expect(second).to_have_value("30.00")
    page.locator("#amount").fill("150")
    expect(second).to_have_value("50.00")
    expect(page.locator("#rest")).to_contain_text("Rp 0.00")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url(f"**{RECEIPT}")
    assert receipts(session)["BANK-77"] == ("posted", date(2026, 4, 1), Decimal(130))


def test_without_javascript_it_is_put_right_too(
    browse: Browse, session: Any, customer: Customer
) -> None:
    page = browse("finance", java_script_enabled=False)
    page.goto(RECEIPT)
    page.get_by_role("link", name="Void and record anew").click()
    page.locator("#reason").fill("Was a transfer")
    page.locator("#method").select_option("transfer")
    page.get_by_role("button", name="Show open invoices").click()
    expect(page.get_by_label("A-0001", exact=True)).to_have_value("30.00")
    page.locator("#save-record").click()
    expect(page.get_by_text("Recorded in place of")).to_be_visible()
    assert set(receipts(session)) == {"BANK-77", "BANK-77 (void 1)"}


def test_one_match_after_another_takes_a_key_each(
    browse: Browse, session: Any, customer: Customer
) -> None:
    for number, amount in enumerate((11, 12)):
        PaymentFactory(reference=f"TRF A-003{number}", customer=customer, amount=Decimal(amount))
    session.commit()
    page = browse("finance")
    page.goto("/billing/unmatched")
    page.get_by_role("button", name="Match TRF A-0030").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Payment TRF A-0030 is matched.")).to_be_visible()
    expect(page.get_by_role("button", name="Match TRF A-0031")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Every payment is matched")).to_be_visible()


def test_every_further_page_of_a_statement_says_whose_it_is(
    browse: Browse, customer: Customer
) -> None:
    page = browse("finance")
    page.goto("/billing/customers/ALFKI/statement?period=all")
    running = page.locator(".running-head")
    expect(running).to_be_hidden()
    page.goto("/billing/customers/ALFKI/statement?period=all&print=1")
    page.emulate_media(media="print")
    expect(running).to_contain_text("Alfreds Futterkiste")
    expect(page.locator(".statement-table thead")).to_have_css("display", "table-header-group")
    pages = len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True)))
    assert pages >= 2


def test_an_amount_of_the_ageing_leads_to_its_documents_and_back(
    browse: Browse, customer: Customer
) -> None:
    page = browse("finance")
    then = periods.today() - timedelta(days=100)
    page.goto(f"/billing/ageing?as_of={then}")
    cell = page.locator(".ageing-table tbody tr td.cell-total a")
    amount = cell.inner_text()
    cell.click()
    page.wait_for_url(f"**/billing/ageing/documents?as_of={then}&customer=ALFKI")
    expect(page.locator("tfoot td.cell-total")).to_have_text(amount)
    page.locator(".crumbs").get_by_role("link", name="Ageing").click()
    page.wait_for_url(f"**/billing/ageing?as_of={then}")


def test_the_pages_stand_up_to_axe(customer: Customer, every_look: Callable[..., None]) -> None:
    screens = {
        "replace": f"{RECEIPT}/replace",
        "ageing-documents": "/billing/ageing/documents?customer=ALFKI",
        "statement": "/billing/customers/ALFKI/statement?period=all&print=1",
    }
    every_look({f"billing-{name}": path for name, path in screens.items()})
