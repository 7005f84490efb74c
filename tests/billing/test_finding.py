"""The search of the shell, where no order fits: billing's records by their very number; and the key `n`."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.factories.billing import InvoiceFactory, MeterFactory, PaymentFactory
from tests.factories.orders import OrderFactory

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def records(session: Any) -> None:
    InvoiceFactory(number="INV/7")
    PaymentFactory(reference="PAY-7")
    MeterFactory(number="M 7")
    OrderFactory(number="O-1")
    session.commit()


def go(browser: FlaskClient, text: str) -> tuple[int, str | None]:
    answer = browser.get("/orders", query_string={"q": text, "go": "1"})
    return answer.status_code, answer.location


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("INV/7", "/billing/invoices/INV/7"),
        (" PAY-7 ", "/billing/payments/PAY-7"),
        ("M 7", "/billing/meters/M%207"),
        ("O-1", "/orders/O-1"),
    ],
)
def test_the_search_goes_to_what_has_that_number(
    sign_in: SignIn, records: None, text: str, address: str
) -> None:
    assert go(sign_in("viewer"), text) == (303, address)


@pytest.mark.parametrize("text", ["", "INV", "inv/77", "PAY", "\0", "x" * 5000, "%"])
def test_what_is_no_number_stays_on_the_list(sign_in: SignIn, records: None, text: str) -> None:
    status, address = go(sign_in("finance"), text)
    assert status in (200, 400) or address == "/orders/O-1"
    assert "billing" not in (address or "")


def test_an_order_of_that_number_comes_first(sign_in: SignIn, session: Any, records: None) -> None:
    OrderFactory(number="PAY-7")
    session.commit()
    assert go(sign_in("finance"), "PAY-7") == (303, "/orders/PAY-7")


@pytest.mark.parametrize("text", ["INV/7", "PAY-7", "M 7"])
def test_an_account_manager_finds_nothing_of_billing(
    sign_in: SignIn, records: None, text: str
) -> None:
    assert go(sign_in("account_manager"), text) == (200, None)


@pytest.mark.parametrize(
    ("page", "new"),
    [
        ("/customers", "/customers/new"),
        ("/products", "/products/new"),
        ("/billing/meters", "/billing/meters/new"),
        ("/billing/invoices", "/billing/invoices/new"),
        ("/billing/payments", "/billing/payments/new"),
    ],
)
def test_n_leads_to_the_lists_own_new(sign_in: SignIn, page: str, new: str) -> None:
    told = sign_in("finance").get(page).text.partition("<main")[2]
    assert re.findall(r'href="([^"]+)"\s+data-key="n"', told) == [new]
