"""Requests that once led to a 500: blanks in required fields, invalid URLs, invalid files."""

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backoffice.web.idempotency import new_key
from tests.addresses import records_called_x
from tests.faults.fuzzing import FILES
from tests.orders.pages import filled

SignIn = Callable[..., FlaskClient]

BLANKS = ("", " ", "\t\n ", "\u00a0")


@pytest.fixture
def finance(
    sign_in: SignIn, session: Any, kept_book: Callable[[str, Callable[[], object]], None]
) -> FlaskClient:
    """A finance user, with an order, an invoice, a payment and an assignment in the book."""

    def make() -> None:
        records_called_x()
        session.commit()

    kept_book("records called x", make)
    return sign_in("finance")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/orders/new", "order_date"),
        ("/orders/new", "number"),
        ("/billing/invoices/new", "issued_on"),
        ("/billing/payments/new", "paid_on"),
        ("/billing/payments/new", "amount"),
        ("/billing/adjustments/new", "adjusted_on"),
        ("/billing/adjustments/new", "amount"),
        ("/billing/meters/x/assignments/1/reassign", "since"),
        ("/billing/meters/x/assignments/1/end", "last"),
        ("/customers/new", "code"),
        ("/products/new", "code"),
        ("/pricing/apply", "effective_from"),
    ],
)
def test_blanks_are_nothing_wherever_something_must_be(
    finance: FlaskClient, path: str, field: str
) -> None:
    for blank in BLANKS:
        data = {field: blank, "customer": "x", "idempotency_key": new_key()}
        answer = finance.post(path, data=data)
        assert answer.status_code == 422, (blank, answer.text)
        assert 'aria-invalid="true"' in answer.text


@pytest.mark.parametrize("target", ["//[::1", "http://[::1", "http://[v1.a]/", "/\r\nX: 1"])
def test_an_address_that_cannot_be_one_leads_nowhere(finance: FlaskClient, target: str) -> None:
    assert finance.get(f"/login?next={quote(target)}").status_code == 302
    answer = finance.post("/preferences", data={"next": target, "theme": "dark"})
    assert (answer.status_code, answer.location) == (303, "/")
    ended = FlaskClient(finance.application)
    reported = ended.get(
        "/orders", headers={"HX-Request": "true", "HX-Current-URL": quote(target, safe="/[]:")}
    )
    assert reported.status_code == 401


def test_a_view_of_no_list_or_of_a_hostile_address_is_refused_or_cleaned(
    finance: FlaskClient,
) -> None:
    typed = {"name": "Mine", "listing": "orders", "next": "/orders"}
    kept = finance.post("/lists/views", data={**typed, "query": "state=open\r\nX-Injected: 1"})
    assert kept.status_code == 303
    assert "\n" not in kept.location
    assert "X-Injected" not in kept.headers
    for wrong in (
        {"listing": ""},
        {"listing": "x" * 5000},
        {"name": "n" * 5000},
        {"query": "q=" + "a" * 5000},
    ):
        assert (
            finance.post("/lists/views", data={**typed, "name": "Other", **wrong}).status_code
            == 422
        )
    assert finance.post("/lists/views").status_code == 422


@pytest.mark.parametrize("number", ["9" * 5000, "SO-" + "9" * 5000])
def test_a_number_of_thousands_of_digits_is_refused_and_found_nowhere(
    finance: FlaskClient, number: str
) -> None:
    typed = filled(finance, "/orders/new", number=number, customer="x")
    assert finance.post("/orders/new", data=typed).status_code == 422
    assert finance.get(f"/orders/{number}").status_code == 404
    assert finance.get(f"/search?q={number}").status_code == 200
    assert finance.get(f"/orders?q={number}").status_code == 200


@pytest.mark.parametrize("content", FILES, ids=range(len(FILES)))
def test_a_file_that_is_none_is_refused_or_can_be_thrown_away(
    app: Flask, finance: FlaskClient, content: bytes
) -> None:
    data = {
        "kind": "customers",
        "idempotency_key": new_key(),
        "files": [(BytesIO(content), "x.csv")],
    }
    sent = finance.post("/imports/new", data=data, content_type="multipart/form-data")
    assert sent.status_code in (303, 422)
    if sent.status_code == 303:
        page = finance.get(sent.location)
        assert page.status_code == 200, page.status_code
        [discard] = re.findall(r'action="(/imports/\d+/discard)"', page.text)
        assert finance.post(discard).status_code == 303
        assert finance.get(sent.location).status_code == 404
