"""Invoices entered one after the other: what the form fills in by itself, and saving straight into the next one."""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from backoffice.base import periods
from backoffice.billing.models import Invoice
from backoffice.customers.models import Customer
from tests.factories.billing import MeterAssignmentFactory, MeterFactory

from .invoice_desk import filled, form_at, invoice_of, meter, new, outputs_of, wanjiru, words

SignIn = Callable[..., FlaskClient]

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
NEW = "/billing/invoices/new"
RATES = {"rate": "0.1525", "fixed_charge": "12.50"}


@pytest.fixture
def customer(session: Any) -> Customer:
    """Wanjiru, with M-1 last billed at 0.1525 and 12.50."""
    made = wanjiru(session)
    of_it = {"units": 10, "rate": Decimal("0.1525"), "fixed_charge": Decimal("12.50")}
    invoice_of(session, made, number="INV-1", rate=Decimal(3), issued_on=date(2026, 1, 1))
    invoice_of(session, made, number="INV-2", issued_on=date(2026, 2, 1), **of_it)
    invoice_of(session, made, number="INV-3", status="void", void_reason="Twice")
    whole = {"units": None, "rate": None, "fixed_charge": 0, "amount": 5}
    invoice_of(session, made, number="INV-4", issued_on=date(2026, 4, 1), **whole)
    return made


@pytest.fixture
def finance(sign_in: SignIn, customer: Customer) -> FlaskClient:
    """A finance person."""
    return sign_in("finance")


def fills(client: FlaskClient, after: str, **typed: str) -> dict[str, str]:
    """What is filled in, by field, after that field of a new invoice was changed."""
    data = {"version": "0"} | typed
    answer = client.post(f"/billing/invoices/proposals?after={after}", data=data, headers=HTMX)
    assert answer.status_code == 200
    reported = json.loads(answer.headers.get("HX-Trigger", "{}")).get("fill", {"fields": []})
    return {change["id"]: change["now"] for change in reported["fields"]}


def proposals(**rates: str) -> dict[str, str]:
    return rates | {f"proposed_{name}": value for name, value in rates.items()}


def test_the_rates_of_the_meters_last_invoice_come_along_with_the_customer(
    finance: FlaskClient,
) -> None:
    typed = form_at(finance, f"{NEW}?customer=C-1")
    assert {name: typed[name] for name in RATES} == RATES
    assert typed["units"] == typed["amount"] == ""
    assert fills(finance, "customer", customer="C-1") == {"meter": "M-1"} | proposals(**RATES)


def test_another_meter_brings_its_own_rates_and_what_a_user_typed_stays(
    finance: FlaskClient, session: Any
) -> None:
    assert fills(finance, "meter", meter="M-1") == proposals(**RATES)
    held = proposals(**RATES)
    assert fills(finance, "meter", meter="M-1", **held) == {}
    assert fills(finance, "meter", meter="M-2", **held) == proposals(rate="", fixed_charge="")
    typed = held | {"rate": "0.2"}
    assert fills(finance, "meter", meter="M-2", **typed) == proposals(fixed_charge="")
    assert fills(finance, "meter", meter="M-9") == {}
    assert fills(finance, "meter", meter="M-1", version="3") == {}, "a stored one keeps its own"


def test_rates_that_were_only_filled_in_are_no_mistake_yet(finance: FlaskClient) -> None:
    page = finance.get(f"{NEW}?customer=C-1").text
    assert outputs_of(page)["invoice-amount"] == "Rp 0.00"
    typed = filled(finance, f"{NEW}?customer=C-1", rate="0.2")
    answer = finance.post("/billing/invoices/preview", data=typed, headers=HTMX)
    assert "Enter the units" in outputs_of(answer.text)["invoice-amount"]


def test_saving_into_the_next_one_keeps_the_days(finance: FlaskClient, session: Any) -> None:
    typed = new(finance, issued_on="2026-05-01", due_on="2026-05-15", another="1")
    answer = finance.post(NEW, data=typed)
    assert answer.location == f"{NEW}?issued_on=2026-05-01&due_on=2026-05-15"
    assert finance.post(NEW, data=typed).location == answer.location, "sent twice it is saved once"
    assert session.query(Invoice).filter_by(issued_on=date(2026, 5, 1)).count() == 1
    page = finance.get(answer.location)
    assert "Invoice INV-2026-00001 is saved." in words(page)
    following = form_at(finance, answer.location)
    assert (following["issued_on"], following["due_on"]) == ("2026-05-01", "2026-05-15")
    assert following["customer"] == following["meter"] == following["units"] == ""
    days = {name: following[name] for name in ("due_on", "proposed_due")}
    assert fills(finance, "issued_on", issued_on="2026-06-01", **days) == {}, "it was typed"


def test_days_that_cannot_be_read_are_left_out(finance: FlaskClient) -> None:
    typed = form_at(finance, f"{NEW}?issued_on=soon&due_on=")
    today = periods.today()
    assert typed["issued_on"] == today.isoformat()
    assert typed["due_on"] == (today + timedelta(days=30)).isoformat()


def test_a_stored_invoice_is_saved_to_itself(finance: FlaskClient) -> None:
    typed = filled(finance, "/billing/invoices/INV-2/edit", units="12", another="1")
    answer = finance.post("/billing/invoices/INV-2/edit", data=typed)
    assert answer.location == "/billing/invoices/INV-2"


def test_the_keyboard_begins_where_something_is_missing(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    def begins_at(query: str) -> str:
        inputs = re.findall(r"<input[^>]*>", finance.get(f"{NEW}{query}").text)
        [first] = [tag for tag in inputs if " autofocus" in tag]
        return first.partition(' id="')[2].partition('"')[0]

    assert begins_at("?customer=C-1") == "units"
    MeterAssignmentFactory(meter=MeterFactory(number="M-3"), customer=session.merge(customer))
    session.commit()
    assert begins_at("") == "customer"
    assert begins_at("?customer=C-1") == "meter"
    assert begins_at(f"?customer=C-1&meter={meter(session).number}") == "units"
