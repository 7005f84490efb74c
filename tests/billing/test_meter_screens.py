"""The screens of meters over HTTP: list, record, form, history, a customer's meters, Today."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.billing.models import MeterAssignment
from backoffice.customers.models import Customer
from tests.approvals.cards import pressed
from tests.customers.conftest import statements  # noqa: F401 (a fixture)
from tests.customers.desk import form
from tests.factories.billing import InvoiceFactory, PaymentFactory
from tests.factories.customers import CustomerFactory
from tests.files_for_people import text_for_people
from tests.orders.pages import text_of

from .meter_desk import a_company, verb
from .meters import meter_of

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def company(session: Any) -> dict[str, Any]:
    """RINA owes 1,100 on M-1 and overpaid 250 on M-2; M-3 was hers; M-4, with 40, has no customer."""
    return a_company(session)


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


# The list


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", ["M-1", "M-2", "M-3", "M-4"]),
        ("owed=owing", ["M-1", "M-3", "M-4"]),
        ("owed=overpaid", ["M-2"]),
        ("owed=clear", []),
        ("assigned=unassigned", ["M-3", "M-4"]),
        ("assigned=active", ["M-1", "M-2"]),
        ("customer=rina", ["M-1", "M-2", "M-3"]),
        ("customer=BUDI", []),
        ("q=sudirman", ["M-1"]),
        ("q=Wijaya", ["M-1", "M-2"]),
        ("sort=-balance", ["M-3", "M-1", "M-4", "M-2"]),
    ],
)
@pytest.mark.usefixtures("company")
def test_the_list_shows_what_its_filter_leaves_in(
    finance: FlaskClient, query: str, numbers: list[str]
) -> None:
    page = finance.get(f"/billing/meters?{query}")
    assert page.status_code == 200
    assert re.findall(r'class="row-link"[^>]*>(M-\d)<', page.text) == numbers


@pytest.mark.usefixtures("company")
def test_totals_are_those_of_the_whole_filter_and_equal_to_the_files(
    finance: FlaskClient, session: Any
) -> None:
    page = finance.get("/billing/meters?totals=1").text
    totals = text_of(page[page.index('<tfoot class="totals"') : page.index("</tfoot>")])
    assert totals.split("Rp ")[-1].strip() == "8,640.00 0.00 750.00 8,140.00 250.00"
    file = text_for_people(finance, "/billing/meters/export.csv")
    assert "8640.00,0.00,750.00,8140.00,250.00" in file
    assert finance.get("/billing/meters/export.xlsx").status_code == 200


def test_who_may_not_read_billing_sees_nothing_of_it(
    app: Flask, sign_in: SignIn, company: dict[str, Any]
) -> None:
    manager = sign_in("account_manager")
    for path in ("/billing/meters", "/billing/meters/M-1", "/billing/adjustments"):
        assert manager.get(path).status_code == 403
    page = text_of(manager.get("/customers/RINA").text)
    assert "Meters" not in page
    assert "1,100.00" not in page
    assert "Overpayment" not in manager.get("/customers").text
    assert "1100" not in manager.get("/customers/export.csv").text
    assert "1,100.00" not in manager.get("/customers?columns=name,balance,overpayment").text


def test_a_viewer_sees_everything_and_changes_nothing(
    sign_in: SignIn, company: dict[str, Any]
) -> None:
    viewer = sign_in("viewer")
    page = viewer.get("/billing/meters/M-1")
    assert page.status_code == 200
    for words in ("Deactivate", "Reassign", "Correct the days", "Adjust<"):
        assert words not in page.text
    assert viewer.get("/billing/meters/M-1/edit").status_code == 403
    assert viewer.post(verb(company, "owing", "deactivate")).status_code == 403


# One meter


@pytest.mark.usefixtures("company")
def test_the_record_says_what_is_owed_and_why_and_who_owns_it(finance: FlaskClient) -> None:
    page = finance.get("/billing/meters/M-1?sort=-number")
    text = text_of(page.text)
    for words in (
        "Meter M-1 Active Owing", "Rina Wijaya", "Jl. Sudirman 1", "Rp 1,100.00", "1,500.00", "400.00",
        "since 1 Jan 2026", "INV-M-1", "PAY-M-1", "No adjustment of this meter yet.",
    ):  # fmt: skip
        assert words.replace("Rp ", "Rp\xa0") in text or words in text, words
    assert 'href="/billing/meters/M-2?sort=-number"' in page.text, "the way on through the list"
    assert 'href="/billing/meters/M-1/calculation/balance"' in page.text
    assert "Overpaid" in text_of(finance.get("/billing/meters/M-2").text)
    assert "No customer" in text_of(finance.get("/billing/meters/M-4").text)
    assert finance.get("/billing/meters/M-404").status_code == 404


# On the customer's screen, in the history, for the watch and on Today


@pytest.mark.usefixtures("company")
def test_the_customers_screen_shows_each_meter_and_what_they_come_to(finance: FlaskClient) -> None:
    page = finance.get("/customers/RINA")
    text = text_of(page.text)
    for words in ("Meters Owing", "1,100.00", "250.00", "M-1", "Inactive, not counted", "7,000.00"):
        assert words in text
    assert 'href="/billing/meters?customer=RINA"' in page.text
    totals = finance.get("/customers?totals=1").text
    foot = text_of(totals[totals.index('<tfoot class="totals"') : totals.index("</tfoot>")])
    assert "1,100.00 250.00" in foot
    assert "Meters" not in text_of(finance.get("/customers/BUDI").text), "nothing of theirs"


def test_the_history_renders_every_change_in_words(
    finance: FlaskClient, company: dict[str, Any]
) -> None:
    edit = "/billing/meters/M-1/edit"
    finance.post(edit, data=form(finance, edit, description="Cellar"))
    reassign = verb(company, "owing", "reassign")
    typed = form(
        finance, "/billing/meters/M-1/reassign", reassign, customer="BUDI", since="2026-04-01"
    )
    pressed(finance, reassign, typed)
    adjust = "/billing/adjustments/new"
    fee = form(finance, f"{adjust}?meter=M-1", adjust, amount="5", reason="Fee")
    assert finance.post(adjust, data=fee).status_code == 303
    text = text_of(finance.get("/billing/meters/M-1/history").text)
    for words in (
        "Description before: Jl. Sudirman 1 → after: Cellar",
        "Assignment to RINA · Rina Wijaya · Until before: … → after: 31 Mar 2026",
        "Assignment to RINA · Rina Wijaya · Active before: yes → after: no",
        "Assignment to BUDI · Budi Santoso after: 1 Apr 2026 – … · Active",
        "5.00 · Fee",
        "Created",
    ):
        assert words in text, text


@pytest.mark.usefixtures("company")
def test_today_lists_documents_without_a_meter_and_debts_without_a_customer(
    finance: FlaskClient, session: Any, sign_in: SignIn
) -> None:
    budi = session.scalars(select(Customer).where(Customer.code == "BUDI")).one()
    PaymentFactory(customer=budi, amount=70)
    PaymentFactory(customer=budi, amount=9, status="void")
    InvoiceFactory(customer=budi, units=None, rate=None, amount=30)
    session.commit()
    text = text_of(finance.get("/today").text).replace("\xa0", " ")
    for words in (
        "1 payment is not matched to a meter: Rp 70.00.",
        "1 invoice has no meter: Rp 30.00.",
        "2 meters have a balance and no customer: Rp 7,040.00.",
    ):
        assert words in text, text
    here = "/billing/meters?owed=owing&assigned=unassigned&sort=-balance"
    assert re.findall(r'class="row-link"[^>]*>(M-\d)<', finance.get(here).text) == ["M-3", "M-4"]
    assert "meter" not in text_of(sign_in("account_manager").get("/today").text).lower()


def test_the_number_of_statements_does_not_grow_with_the_meters(
    finance: FlaskClient,
    session: Any,
    statements: Callable[[], Any],  # noqa: F811
) -> None:
    rina = CustomerFactory(code="RINA")
    meter_of(rina, "M-0", owed=10)
    session.commit()
    finance.get("/customers/RINA")
    counts = []
    for pages in (1, 2):
        for number in range(20):
            meter_of(rina, f"M-{pages}-{number}", owed=10)
        session.commit()
        with statements() as found:
            for page in ("/billing/meters", "/customers/RINA", "/customers"):
                assert finance.get(page).status_code == 200
        counts.append(len(found))
    assert counts[0] == counts[1]
    assert len(session.scalars(select(MeterAssignment)).all()) == 41
