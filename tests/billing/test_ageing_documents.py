"""Every amount of the ageing is linked to the documents that make it up, as of the same day."""

import html
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from backoffice.base import periods
from backoffice.billing.ageing.queries import ageing_by_meter, documents_owed
from backoffice.billing.meters import actions as meter_actions
from backoffice.billing.models import Meter
from tests.factories.billing import (
    InvoiceFactory,
    MeterAdjustmentFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.files_for_people import lines_for_people
from tests.orders.pages import text_of

SignIn = Callable[..., FlaskClient]

AMOUNT = re.compile(r'href="(/billing/ageing/documents[^"]*)">([\d,.]+)</a>')


def ago(days: int) -> date:
    """A day that is so many days before today."""
    return periods.today() - timedelta(days=days)


@pytest.fixture
def wanjiru(session: Any) -> Meter:
    """M-1 of Wanjiru: an old invoice that was paid 40 days ago, one that was partly paid without
    being named, a fee, one that is not due; and M-2 without a customer, with one that is old.
    """
    meter = MeterAssignmentFactory(
        meter=MeterFactory(number="M-1"), customer=CustomerFactory(code="C-1", name="Wanjiru")
    ).meter
    customer = meter.assignments[0].customer
    own = {"customer": customer, "units": None, "rate": None, "fixed_charge": 0}
    on = own | {"meter": meter}
    paid = InvoiceFactory(number="INV-1", amount=100, issued_on=ago(150), due_on=ago(120), **on)
    InvoiceFactory(number="INV-2", amount=200, issued_on=ago(100), due_on=ago(70), **on)
    InvoiceFactory(number="INV-3", amount=400, issued_on=ago(20), due_on=ago(-10), **on)
    by = {"customer": customer, "meter": meter}
    PaymentFactory(amount=100, invoice=paid, paid_on=ago(40), **by)
    PaymentFactory(amount=50, paid_on=ago(30), **by)
    MeterAdjustmentFactory(number="ADJ-1", amount=25, adjusted_on=ago(60), reason="Fee", **by)
    unassigned = MeterFactory(number="M-2")
    InvoiceFactory(
        number="INV-70", meter=unassigned, amount=70, issued_on=ago(300), due_on=ago(200), **own
    )
    session.commit()
    made: Meter = meter
    return made


@pytest.fixture
def finance(sign_in: SignIn, wanjiru: Meter) -> FlaskClient:
    """A finance person of that book."""
    return sign_in("finance")


def page_of(client: FlaskClient, address: str) -> str:
    page = client.get(address)
    assert page.status_code == 200, page.text
    return str(page.text)


def totals_of(client: FlaskClient, address: str) -> dict[str, str]:
    """The control totals of the file of a list."""
    rows = lines_for_people(client, address.replace("/documents", "/documents/export.csv", 1))
    return {row[0]: row[1] for row in rows if len(row) == 2}


@pytest.mark.parametrize("days", [0, 35, 45, 65, 110])
@pytest.mark.parametrize("by", ["", "meter"])
def test_every_amount_leads_to_documents_that_come_to_it(
    finance: FlaskClient, days: int, by: str
) -> None:
    page = page_of(finance, f"/billing/ageing?as_of={ago(days)}&by={by}")
    links = AMOUNT.findall(page)
    assert len(links) >= 4
    for address, amount in links:
        assert totals_of(finance, html.unescape(address))["Total: Still owed"] == amount


def test_what_was_open_on_a_past_day_is_listed_as_it_was_then(finance: FlaskClient) -> None:
    then = text_of(page_of(finance, f"/billing/ageing/documents?customer=C-1&as_of={ago(45)}"))
    assert "INV-1 Invoice M-1 Wanjiru" in then
    assert "75 100.00 100.00" in then
    assert "ADJ-1 Adjustment" in then
    assert "INV-3" not in then
    now = text_of(page_of(finance, "/billing/ageing/documents?customer=C-1"))
    assert "INV-1" not in now
    assert "70 200.00 150.00" in now


def test_as_of_a_past_day_a_name_leads_to_the_statement_up_to_that_day(
    finance: FlaskClient,
) -> None:
    then = ago(45)
    page = page_of(finance, f"/billing/ageing?as_of={then}")
    assert f'href="/billing/customers/C-1/statement?until={then}&amp;as_of={then}"' in page
    statement = text_of(page_of(finance, f"/billing/customers/C-1/statement?until={then}"))
    assert "Closing Rp 325.00" in statement
    by_meter = page_of(finance, f"/billing/ageing?as_of={then}&by=meter")
    assert f'href="/billing/meters/M-1/statement?until={then}&amp;' in by_meter


def test_the_way_back_keeps_the_day(finance: FlaskClient) -> None:
    then = ago(45)
    page = page_of(finance, f"/billing/ageing/documents?customer=C-1&as_of={then}")
    assert f'href="/billing/ageing?as_of={then}"' in page
    assert 'href="/billing/ageing"' in page_of(finance, "/billing/ageing/documents?meter=M-1")


def test_the_present_owner_of_a_meter_owes_what_was_booked_on_the_former(
    finance: FlaskClient, session: Any, wanjiru: Meter
) -> None:
    held = session.merge(wanjiru).assignments[0]
    budi = CustomerFactory(code="C-9", name="Budi")
    session.commit()
    meter_actions.reassign(session, held.id, held.version, budi.id, periods.today())
    session.commit()
    page = page_of(finance, "/billing/ageing")
    assert "Wanjiru" not in text_of(page)
    for address, amount in AMOUNT.findall(page):
        assert totals_of(finance, html.unescape(address))["Total: Still owed"] == amount
    assert "INV-2" in page_of(finance, "/billing/ageing/documents?customer=C-9")
    assert "INV-2" not in page_of(finance, "/billing/ageing/documents?customer=C-1")


def test_of_some_meters_it_says_the_same_as_of_all(session: Any, wanjiru: Meter) -> None:
    for days in (0, 35, 45, 110):
        day = ago(days)
        alone = documents_owed(day, select(Meter.id).where(Meter.id == wanjiru.id))
        ages = ageing_by_meter(day)
        expected = session.scalar(select(ages.c.total).where(ages.c.id == wanjiru.id))
        assert session.scalar(select(func.sum(alone.c.owed))) == expected


def test_the_documents_can_be_searched_and_are_a_file(finance: FlaskClient) -> None:
    found = text_of(page_of(finance, "/billing/ageing/documents?q=adj"))
    assert "ADJ-1" in found
    assert "INV-2" not in found
    assert finance.get("/billing/ageing/documents/export.xlsx").status_code == 200
    assert "Nothing fits that" in page_of(finance, "/billing/ageing/documents?meter=M-404")


def test_codes_that_differ_in_case_are_two_customers(finance: FlaskClient, session: Any) -> None:
    small = CustomerFactory(code="c-1", name="Achieng")
    meter = MeterAssignmentFactory(meter=MeterFactory(number="M-3"), customer=small).meter
    own = {"customer": small, "meter": meter, "units": None, "rate": None, "fixed_charge": 0}
    InvoiceFactory(number="INV-30", amount=30, issued_on=ago(50), due_on=ago(20), **own)
    session.commit()
    assert "INV-30" not in page_of(finance, "/billing/ageing/documents?customer=C-1")
    page = page_of(finance, "/billing/ageing/documents?customer=c-1")
    assert "INV-30" in page
    assert "INV-2" not in page


@pytest.mark.parametrize("blank", ["%20", "%00", "%20%00"])
@pytest.mark.parametrize("name", ["customer", "meter"])
def test_a_blank_name_in_the_address_filters_nothing(
    finance: FlaskClient, name: str, blank: str
) -> None:
    page = page_of(finance, f"/billing/ageing/documents?{name}={blank}")
    assert "INV-2" in page
    assert "INV-70" in page
