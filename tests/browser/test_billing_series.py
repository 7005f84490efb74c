"""Five invoices in a row by keyboard: customer, units, and on to the next one."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from backoffice.base import periods
from backoffice.billing.models import Invoice
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, MeterFactory
from tests.factories.customers import CustomerFactory

Browse = Callable[..., Page]


def test_invoices_are_entered_one_after_the_other_without_the_mouse(
    browse: Browse, session: Any, axe: Callable[[Page], None]
) -> None:
    for code, rate in (("C-1", 100), ("C-2", 200)):
        customer = CustomerFactory(code=code)
        meter = MeterAssignmentFactory(meter=MeterFactory(), customer=customer).meter
        InvoiceFactory(meter=meter, customer=customer, rate=rate)
    session.commit()
    page = browse("finance")
    page.goto("/billing/invoices")
    page.keyboard.press("n")
    customer, rate = page.get_by_label("Customer"), page.get_by_label("Rate", exact=True)
    series = f"INV-{periods.today().year}-0000"
    entries = (("C-1", "100.00", "2"), ("C-2", "200.00", "2"), ("C-1", "100.00", "3"))
    for number, (code, filled_in, units) in enumerate(entries, start=1):
        expect(customer).to_be_focused()
        expect(customer).to_have_value("")
        page.keyboard.type(code)
        page.keyboard.press("Tab")
        expect(rate).to_have_value(filled_in)
        page.keyboard.press("Tab")
        page.keyboard.type(units)
        page.keyboard.press("Control+Enter")
        expect(page.locator("main")).to_contain_text(f"Invoice {series}{number} is saved.")
    axe(page)
    session.rollback()
    entered = session.query(Invoice).filter(Invoice.number.startswith(series)).all()
    assert sorted(int(invoice.amount) for invoice in entered) == [450, 550, 650]
