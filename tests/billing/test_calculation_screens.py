"""How the figures of meters were calculated, over HTTP; how they are named and recalculated."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from backoffice.drift import recalculation
from backoffice.people.models import User
from backoffice.web import record_links as subjects
from backoffice.web.record_links import Place
from tests.customers.desk import fields_of
from tests.factories.billing import InvoiceFactory
from tests.orders.pages import text_of
from tests.signing_in import someone

from .meter_desk import a_company

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def company(session: Any) -> dict[str, Any]:
    """RINA owes 1,100 on M-1 and overpaid 250 on M-2; M-3 was hers; M-4, with 40, has no customer."""
    return a_company(session)


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


def ways_on(client: FlaskClient, page: str) -> set[str]:
    """The links in the main part of the page."""
    html = client.get(page).text
    main = html[html.index("<main") : html.index("</main>")]
    return {way.replace("&amp;", "&") for way in re.findall(r'href="([^"#]+)"', main)}


@pytest.mark.usefixtures("company")
def test_from_the_customer_to_the_source_rows_it_is_two_clicks(finance: FlaskClient) -> None:
    [of_customer] = {
        way for way in ways_on(finance, "/customers/RINA") if "/calculation/balance" in way
        and way.startswith("/billing/customers/")
    }  # fmt: skip
    page = text_of(finance.get(of_customer).text)
    assert "1,100.00 = 1,100.00 + 0.00" in page
    assert "Not counted: not actively assigned M-3 7,000.00" in page
    assert "/billing/meters/M-1/calculation/balance" in ways_on(finance, of_customer)
    documents = finance.get("/billing/meters/M-1/calculation/balance")
    text = text_of(documents.text)
    for words in ("1,100.00 = 1,500.00 + 0.00 − 400.00", "INV-M-1", "PAY-M-1", "15 Mar 2026"):
        assert words in text
    assert "/billing/meters/M-1/calculation/paid" in documents.text


@pytest.mark.leaves_drift
def test_a_figure_that_a_user_tampered_with_is_shown_beside_what_it_should_be(
    finance: FlaskClient, company: dict[str, Any], admin_database_url: str
) -> None:
    with psycopg.connect(admin_database_url, autocommit=True) as surgery:
        surgery.execute("SET session_replication_role = replica")
        surgery.execute("UPDATE meters SET paid = 1 WHERE number = 'M-1'")
        surgery.execute("UPDATE meters SET balance = 9 WHERE number = 'M-2'")
    record = text_of(finance.get("/billing/meters/M-1").text)
    assert "A figure of this record is stored wrongly." in record
    paid = text_of(finance.get("/billing/meters/M-1/calculation/paid").text)
    assert "Stored wrongly" in paid
    assert "Expected 400.00 Stored 1.00" in paid
    of_customer = text_of(finance.get("/billing/customers/RINA/calculation/balance").text)
    assert "M-2 0.00" in of_customer, "what it should be, not what is stored"
    assert "Expected 1,100.00" in of_customer


@pytest.mark.usefixtures("company")
def test_very_many_documents_are_counted_and_their_list_is_a_click_away(
    finance: FlaskClient, company: dict[str, Any], session: Any
) -> None:
    held = company["owing"]
    for number in range(210):
        InvoiceFactory(
            number=f"N-{number}", meter=held.meter, customer=held.customer,
            units=None, rate=None, amount=Decimal(1),
        )  # fmt: skip
    session.commit()
    page = finance.get("/billing/meters/M-1/calculation/invoiced")
    assert "… and 11 more" in text_of(page.text)
    assert 'href="/billing/invoices?meter=M-1"' in page.text


def test_the_watch_knows_meters_invoices_and_customers_by_name(
    app: Flask, company: dict[str, Any]
) -> None:
    key = {"id": "1"}
    with app.test_request_context():
        for figure, name, record, calculation in (
            ("meters.documents", "M-1", "/billing/meters/M-1",
             "/billing/meters/M-1/calculation/paid"),
            ("customers.balance", "RINA", "/customers/RINA",
             "/billing/customers/RINA/calculation/paid"),
            ("invoices.paid", "INV-1", "/billing/invoices/INV-1",
             "/billing/invoices/INV-1/calculation/paid"),
        ):  # fmt: skip
            place = Place(1, key, name)
            assert subjects.record_url(figure, place) == record
            assert subjects.calculation_url(figure, place, "paid") == calculation
            assert subjects.owners_named(figure, name) is not None


def test_recalculating_covers_a_meter_or_everything_of_a_customer(
    app: Flask, session: Any, company: dict[str, Any]
) -> None:
    finance = session.get_one(User, someone(app, "finance"))
    manager = session.get_one(User, someone(app, "account_manager"))
    rina, held = company["rina"].id, company["owing"]
    of_meter = recalculation.owners_of(session, finance, "meter", held.meter_id)
    assert of_meter == {
        "invoices.amount": [1], "invoices.paid": [1], "meters.documents": [held.meter_id],
        "meters.balance": [held.meter_id], "customers.balance": [rina],
    }  # fmt: skip
    of_customer = recalculation.owners_of(session, finance, "customer", rina) or {}
    meters = sorted(company[name].meter_id for name in ("owing", "overpaid", "inactive"))
    assert of_customer["meters.balance"] == meters
    assert of_customer["customers.balance"] == [rina]
    assert recalculation.owners_of(session, manager, "meter", held.meter_id) is None
    theirs = recalculation.owners_of(session, manager, "customer", rina) or {}
    assert not [figure for figure in theirs if figure.startswith(("meters", "customers"))]
    assert recalculation.owners_of(session, finance, "meter", 404) is None


@pytest.mark.usefixtures("company")
def test_the_recalculate_buttons_begin_a_preview(finance: FlaskClient, session: Any) -> None:
    for page in ("/billing/meters/M-1", "/billing/customers/RINA/calculation/balance"):
        html = finance.get(page).text
        [address] = set(re.findall(r'action="(/health/drift/recalculate/[^"]+)"', html))
        answer = finance.post(address, data=fields_of(html, address))
        assert re.fullmatch(r"/runs/\d+", answer.location), answer.location
