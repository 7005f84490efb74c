"""The next steps that the screens of billing offer, what cannot be changed, and the order of error messages."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from backoffice.base import periods
from tests.customers.desk import form
from tests.factories.billing import InvoiceFactory, PaymentFactory
from tests.orders.pages import text_of

from .meter_desk import a_company

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def company(session: Any) -> dict[str, Any]:
    """RINA owes 1,100 on M-1 and overpaid 250 on M-2; M-3 was hers; M-4, with 40, has no customer."""
    return a_company(session)


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


def links(html: str) -> set[str]:
    return {href.replace("&amp;", "&") for href in re.findall(r'href="([^"]+)"', html)}


def input_tag(html: str, name: str) -> str:
    [tag] = [tag for tag in re.findall(r"<input[^>]*>", html) if f'name="{name}"' in tag]
    return tag


def test_a_meter_leads_to_each_new_document_of_it(
    finance: FlaskClient, company: dict[str, Any], sign_in: SignIn
) -> None:
    news = {
        "/billing/invoices/new?meter=M-1&customer=RINA",
        "/billing/payments/new?customer=RINA",
        "/billing/adjustments/new?meter=M-1",
    }
    assert news <= links(finance.get("/billing/meters/M-1").text)
    unassigned = links(finance.get("/billing/meters/M-4").text)
    assert "/billing/invoices/new?meter=M-4" in unassigned
    assert not any(href.startswith("/billing/payments/new") for href in unassigned)
    assert not news & links(sign_in("viewer").get("/billing/meters/M-1").text)


def test_a_customer_leads_to_a_new_invoice(finance: FlaskClient, company: dict[str, Any]) -> None:
    assert "/billing/invoices/new?customer=RINA" in links(finance.get("/customers/RINA").text)


def test_adjustments_are_one_of_the_screens_of_billing(
    finance: FlaskClient, company: dict[str, Any]
) -> None:
    assert "/billing/adjustments" in links(finance.get("/billing/meters").text)
    own = finance.get("/billing/adjustments").text
    assert 'href="/billing/adjustments" aria-current="page"' in own


def test_while_payments_name_an_invoice_its_customer_and_meter_cannot_be_typed(
    finance: FlaskClient, company: dict[str, Any], session: Any
) -> None:
    rina, meter = company["rina"], company["owing"].meter
    invoice = InvoiceFactory(number="INV-8", customer=rina, meter=meter)
    session.commit()
    path = "/billing/invoices/INV-8/edit"
    assert "readonly" not in input_tag(finance.get(path).text, "customer")
    PaymentFactory(customer=rina, meter=meter, invoice=invoice)
    session.commit()
    page = finance.get(path).text
    for name in ("customer", "meter"):
        assert "readonly" in input_tag(page, name)
    assert "readonly" not in input_tag(page, "units")
    refused = finance.post(path, data=form(finance, path, customer="BUDI"))
    assert refused.status_code == 422
    assert "readonly" not in input_tag(refused.text, "customer"), "it has to be put right again"


def test_mistakes_are_reported_in_the_order_of_the_fields(
    finance: FlaskClient, company: dict[str, Any]
) -> None:
    def reported(path: str, **typed: str) -> list[str]:
        address = path.partition("?")[0]
        answer = finance.post(address, data=form(finance, path, address, **typed))
        assert answer.status_code == 422
        summary = answer.text.partition("data-error-summary")[2].partition("</ul>")[0]
        return re.findall(r'href="#(\w+)"', summary)

    adjust = "/billing/adjustments/new?meter=M-1"
    assert reported(adjust, amount="0", reason="", adjusted_on="") == [
        "amount",
        "reason",
        "adjusted_on",
    ]
    wrong = {"customer": "nobody", "meter": "", "units": "abc", "due_on": "2020-01-01"}
    assert reported("/billing/invoices/new", **wrong) == ["due_on", "customer", "meter", "units"]


def test_words_say_what_is_paid_and_what_is_settled(
    finance: FlaskClient, company: dict[str, Any], session: Any
) -> None:
    rina, meter = company["rina"], company["owing"].meter
    invoice = InvoiceFactory(number="INV-8", customer=rina, meter=meter, due_on=periods.today())
    session.commit()
    assert "Unpaid" in text_of(finance.get("/billing/invoices/INV-8").text)
    PaymentFactory(customer=rina, meter=meter, invoice=invoice, amount=invoice.amount)
    PaymentFactory(customer=rina, meter=meter, amount=1100)
    session.commit()
    assert "Paid in full" in text_of(finance.get("/billing/invoices/INV-8").text)
    assert "Meter M-1 Active Settled" in text_of(finance.get("/billing/meters/M-1").text)
