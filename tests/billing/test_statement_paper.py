"""The printed statement: its sender, its period, and in favour of which side the balance is."""

from datetime import date
from decimal import Decimal

import pytest

from backoffice.base import periods
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.orders.pages import text_of

PAPER = "/billing/customers/C-1/statement?print=1"


@pytest.fixture
def finance(sign_in, session):
    """A finance user's browser; Wanjiru was invoiced 100.00 and paid 130.00."""
    customer = CustomerFactory(code="C-1", name="Wanjiru")
    meter = MeterAssignmentFactory(customer=customer, meter=MeterFactory(number="M-1")).meter
    InvoiceFactory(
        customer=customer, meter=meter, units=None, rate=None, fixed_charge=0, amount=Decimal(100),
        issued_on=date(2026, 1, 5), due_on=date(2026, 2, 5),
    )  # fmt: skip
    PaymentFactory(customer=customer, meter=meter, amount=Decimal(130), paid_on=date(2026, 1, 20))
    session.commit()
    return sign_in("finance")


def test_the_company_stands_above_it_with_its_address(app, finance, monkeypatch):
    monkeypatch.setitem(app.config, "COMPANY_NAME", "PT Gas")
    monkeypatch.setitem(app.config, "COMPANY_ADDRESS", "Jl. Sudirman 12 | BCA 123 <456> |")
    page = finance.get(f"{PAPER}&period=all")
    assert "PT Gas Jl. Sudirman 12 BCA 123 <456> Statement of account" in text_of(page.text)
    assert page.text.count('class="letterhead-line"') == 2
    assert "PT Gas · Statement of account · C-1 · Wanjiru" in text_of(page.text)


def test_what_was_overpaid_is_said_to_be_the_customers(finance):
    assert "in the customer's favour" in text_of(finance.get(f"{PAPER}&period=all").text)
    before = text_of(finance.get(f"{PAPER}&until=2026-01-10").text)
    assert "Closing Rp 100.00" in before
    assert "favour" not in before


def test_it_does_not_close_on_a_day_that_is_still_to_come(finance):
    year = periods.today().year
    open_year = text_of(finance.get(f"{PAPER}&since=2026-01-01&until={year + 1}-12-31").text)
    assert f"Closing 31 Dec {year + 1}" not in open_year
    closed = text_of(finance.get(f"{PAPER}&since=2026-01-01&until=2026-01-31").text)
    assert "Closing 31 Jan 2026" in closed
